# `make` or `make help` lists the targets. Needs Go, make, git, bash and coreutils. Everything else is downloaded or
# built as a Go module and cached in $XDG_CACHE_HOME/registrationpolicy-operator, outside of the work tree.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS   += --no-print-directory
export GOWORK := off

# The race detector needs a C compiler on most platforms. Without one, the tests run without it and print a message.
RACE     = $(if $(filter 1,$(shell go env CGO_ENABLED)),-race)
# Stops a test that hangs. The suites take a few minutes on two cores.
TIMEOUT  = 20m
# The time for each fuzz target.
FUZZTIME = 10s
# How long `make chaos` injects faults, and the seed of the random faults; 0: a random seed, which it prints.
CHAOS_DURATION = 2m
CHAOS_SEED     = 0
# Flags of test/memory for `make memory`, such as -list, -rest or -only denies-150000; empty: all cases.
MEMORY   =
# Flags of bench for `make bench`, such as -quick, or -parts http,inside; empty: everything, on an idle machine.
BENCH    =
# The pages or folders that `make prose` checks; empty: all.
PROSE    =
PACKAGES = ./...
# The directories of `make mutate`; with ONE_IN=10, a random tenth of the changes.
MUTATE   = ./rules ./hookserver
ONE_IN   = 1
# All modules except the operator's own.
MODULES  = $(filter-out .,$(patsubst ./%,%,$(shell find . -name go.mod -not -path '*/testdata/*' -exec dirname {} \; | sort)))
# Modules with our code to vet. Three of them only pin programs, and `make lint` compiles tools/lint.
OURS     = $(filter-out test/controlplane test/proxies/traefik tools/chart tools/lint,$(MODULES))
# The directory for the files of `make run` and `make dev`; ignored by git.
DEV      = .dev
# The directory with the policies of `make run`.
POLICIES = config/samples/quickstart
# The addresses of `make run`, reachable only from this machine. `make dev` has other ports, so that both can run at the
# same time.
HOOK     = 127.0.0.1:8080
PROBES   = 127.0.0.1:8081
METRICS  = 127.0.0.1:9090
dev demo: HOOK    = 127.0.0.1:8180
dev demo: PROBES  = 127.0.0.1:8181
dev demo: METRICS = 127.0.0.1:9190
PROXY    = 127.0.0.1:8443
# The name and tag of the image; `make release` has the version as its tag.
IMAGE    = registrationpolicy-operator:dev
# The output directory of `make release`, and more of the flags of tools/release for it.
DIST     = dist
RELEASE  =
# The version of programs and image: the chart's appVersion, and the commit unless the work tree is equal to the tag.
VERSION  = $(shell hack/version.sh)
# What --version tells beside it: the commit and its time, empty outside of a repository.
STAMPS   = $(foreach stamp,stamped=$(VERSION) commit=$(COMMIT) date=$(DATE),-X registrationpolicy.dev/operator/internal/version.$(stamp))
COMMIT   = $(shell git rev-parse HEAD 2>/dev/null)
DATE     = $(shell TZ=UTC git log -1 --format=%cd --date=format-local:%Y-%m-%dT%H:%M:%SZ 2>/dev/null)
# The output directory of `make build`.
BIN      = bin

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z][a-z-]*:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  Variables: PACKAGES=$(PACKAGES) TIMEOUT=$(TIMEOUT) FUZZTIME=$(FUZZTIME)"
	@echo "             CHAOS_DURATION=$(CHAOS_DURATION) CHAOS_SEED=$(CHAOS_SEED) MEMORY=$(MEMORY) BENCH=$(BENCH)"
	@echo "             MUTATE='$(MUTATE)' ONE_IN=$(ONE_IN)"
	@echo "             PROSE=$(PROSE) POLICIES=$(POLICIES) HOOK=$(HOOK) PROBES=$(PROBES) METRICS=$(METRICS)"
	@echo "             IMAGE=$(IMAGE) VERSION=$(VERSION) DIST=$(DIST) RELEASE=$(RELEASE)"

##@ Try it

.PHONY: run
run: ## Run the operator on the files in POLICIES, without a cluster
	@exec hack/quickstart.sh $(DEV) $(POLICIES) $(HOOK) $(PROBES) $(METRICS)

.PHONY: dev
dev: ## Run a control plane, the CRD, the samples and the operator; prints kubeconfig, kubectl and curl lines
	@assets=$$(test/controlplane/provide.sh) && mkdir -p $(DEV) && go build -o $(DEV)/dev ./test/dev && \
	  KUBEBUILDER_ASSETS="$$assets" exec $(DEV)/dev -dir $(DEV) -hook $(HOOK) -probes $(PROBES) -metrics $(METRICS)

.PHONY: demo
demo: ## Run a control plane, two operators behind a proxy with TLS, and a stand-in for Okta that sends sign-ups
	@assets=$$(test/controlplane/provide.sh) && mkdir -p $(DEV) && go build -o $(DEV)/dev ./test/dev && \
	  KUBEBUILDER_ASSETS="$$assets" exec $(DEV)/dev -dir $(DEV) -demo $(PROXY) -hook $(HOOK) -probes $(PROBES) -metrics $(METRICS)

##@ Check it

.PHONY: test
test: ## Vet and test everything, on a real API server
	@assets=$$(test/controlplane/provide.sh); proxies=$$(test/proxies/provide.sh); traefik=$$(test/proxies/traefik.sh); \
	$(if $(RACE),,echo "make: no C compiler, so no race detector" >&2;) \
	go vet $(PACKAGES); \
	for module in $(OURS); do echo "vet $$module" >&2; go -C "$$module" vet ./...; done; \
	KUBEBUILDER_ASSETS="$$assets" PROXIES_DIR="$$proxies" TRAEFIK="$$traefik" go test $(RACE) -timeout $(TIMEOUT) $(PACKAGES)
# Without the race detector, which changes the number of allocations.
	@go test -run '^TestCost$$' ./rules ./hookserver/...
	@hack/vectors.sh
	@go -C bench test ./...
	@go -C tools/supply test ./...
# With -count=1, because the cache of go test does not see changes of CONTRIBUTING.md.
	@go -C tools/prose test -count=1 ./...
	@assets=$$(test/controlplane/provide.sh); proxies=$$(test/proxies/provide.sh); traefik=$$(test/proxies/traefik.sh); \
	KUBEBUILDER_ASSETS="$$assets" PROXIES_DIR="$$proxies" TRAEFIK="$$traefik" go -C test/install test -timeout $(TIMEOUT) ./...
# With -count=1, because the cache of go test does not see changes of files outside of the module: config/monitoring,
# docs.
	@assets=$$(test/controlplane/provide.sh); KUBEBUILDER_ASSETS="$$assets" go -C test/monitoring test -count=1 -timeout $(TIMEOUT) ./...

# Excludes packages whose tests import a control plane, and packages below test/ by name.
.PHONY: quick
quick: ## Vet and test what needs neither a control plane nor a proxy
	@go vet $(PACKAGES)
	@go test $$(go list -f '{{.ImportPath}} {{join .TestImports " "}} {{join .XTestImports " "}}' $(PACKAGES) | \
	  grep -vE '/envtest|/test/apiserver|^[^ ]*/test/(chaos/policies|dev|e2e|install|manual|memory|proxies) ' | cut -d' ' -f1)

.PHONY: envtest
envtest: ## Provide kube-apiserver, etcd and kubectl; prints their directory
	@test/controlplane/provide.sh

.PHONY: proxies
proxies: ## Provide nginx and haproxy, and build Traefik; prints their directory, and the path of Traefik
	@test/proxies/provide.sh && test/proxies/traefik.sh

.PHONY: verify
verify: ## Fail if generated files, modules, formats or versions are out of date
	@hack/verify.sh

.PHONY: lint
lint: prose ## Run golangci-lint, kube-api-linter and actionlint, and make prose; the first build takes minutes
	@hack/lint.sh
	@go -C tools/release tool actionlint '$(CURDIR)'/.github/workflows/*.yaml '$(CURDIR)'/config/samples/gitops/.github/workflows/*.yaml

.PHONY: prose
prose: ## Check words and sentences of the manual with vale; PROSE=docs/okta: only that folder
	@go -C tools/prose run . $(PROSE)

.PHONY: chart
chart: ## Lint and render the Helm chart with helm; the first build takes a minute
	@helm() { go -C test/install tool helm "$$@"; }; \
	helm lint --strict --set auth.existingSecret=hook-auth ../../charts/registration-policy-operator; \
	helm template try ../../charts/registration-policy-operator --set auth.existingSecret=hook-auth >/dev/null

.PHONY: vulncheck
vulncheck: ## Look for known vulnerabilities that the programs can reach; skipped with a message if the database is unreachable
	@hack/vulncheck.sh

.PHONY: release-test
release-test: ## Build a release, and install from it: image, chart, manifests, archives
	@go -C tools/release test ./...
# With -count=1, because the cache of go test does not see changes of files outside of the module.
	@assets=$$(test/controlplane/provide.sh); KUBEBUILDER_ASSETS="$$assets" go -C test/release test -count=1 -timeout $(TIMEOUT) ./...

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME
	@hack/fuzz.sh $(FUZZTIME)
	@go test -count=1 -run '^TestCompareFindsEveryChange' ./rules/analysis -sets 100000

.PHONY: mutate
mutate: ## Change one operator at a time in MUTATE, and list the changes that no test notices; all of them take hours
	@ONE_IN=$(ONE_IN) hack/mutate.sh $(MUTATE)

.PHONY: chaos
chaos: ## Inject faults into a fleet behind two kinds of proxy, and check every answer against the guarantees
	@assets=$$(test/controlplane/provide.sh); proxies=$$(test/proxies/provide.sh); \
	KUBEBUILDER_ASSETS="$$assets" PROXIES_DIR="$$proxies" \
	  go run $(RACE) ./test/chaos -duration $(CHAOS_DURATION) -seed $(CHAOS_SEED); \
	KUBEBUILDER_ASSETS="$$assets" PROXIES_DIR="$$proxies" \
	  go run $(RACE) ./test/chaos -duration $(CHAOS_DURATION) -seed $(CHAOS_SEED) -checks=false

.PHONY: memory
memory: ## Run the operator with the chart's memory limit in a real cgroup; needs root
	@assets=$$(test/controlplane/provide.sh); KUBEBUILDER_ASSETS="$$assets" go run ./test/memory $(MEMORY)

.PHONY: bench
bench: ## Measure the operator beside others, and write docs/contributing/performance; for an idle machine, see bench/README.md
# Without a control plane the parts that need it fail, and the others are still measured.
	@assets=$$(test/controlplane/provide.sh) || true; KUBEBUILDER_ASSETS="$$assets" go -C bench run . $(BENCH)

##@ Build it

.PHONY: generate
generate: ## Regenerate deepcopy, CRD, RBAC, tables and the chart's README
	@hack/generate.sh
	@go generate ./...

.PHONY: build
build: ## Build the programs statically into bin/, with VERSION
	@mkdir -p $(BIN)
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w $(STAMPS)' -o $(BIN)/ ./cmd/...
	@ln -sf regpol $(BIN)/kubectl-regpol

.PHONY: cross
cross: ## Build regpol and vet its packages for Windows and macOS
	@for os in windows darwin; do \
	  export GOOS=$$os CGO_ENABLED=0; \
	  go build -o /dev/null ./cmd/regpol; \
	  packages=$$(go list -deps ./cmd/regpol | grep -E '/operator/(cmd|internal)/'); \
	  go vet $$packages; \
	done

.PHONY: sbom
sbom: build ## Write a CycloneDX bill of materials for each program, bin/*.cdx.json, and check the licences
	@hack/sbom.sh

.PHONY: image
image: ## Build the container image without a container engine: bin/image, bin/image_linux_….tar
	@mkdir -p $(BIN)
	@go -C tools/release run . -root '$(CURDIR)' -out '$(abspath $(BIN))' -version '$(VERSION)' -image '$(IMAGE)' -allow-dirty -only-image
	@echo "Load it:  docker load --input $(BIN)/image_linux_$$(go env GOARCH).tar"
	@echo "          kind load image-archive $(BIN)/image_linux_$$(go env GOARCH).tar"
	@echo "Push it:  go -C tools/release tool crane push '$(abspath $(BIN))/image' REGISTRY/$(IMAGE)"

.PHONY: release
release: IMAGE = registrationpolicy-operator:$(patsubst v%,%,$(VERSION))
release: ## Build all that a release has into dist/; VERSION=v1.2.3 is required
	$(if $(filter command line environment,$(origin VERSION)),,$(error give the version: make release VERSION=v1.2.3))
	@rm -rf '$(DIST)' && mkdir -p '$(DIST)'
	@go -C tools/release run . -root '$(CURDIR)' -out '$(abspath $(DIST))' -version '$(VERSION)' -image '$(IMAGE)' $(RELEASE)

.PHONY: clean
clean: ## Remove the files that the targets above left in the work tree
	rm -rf bin dist $(DEV)
