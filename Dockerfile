# The operator and regpol, static, in an image with nothing else: no shell, no package manager, user 65532. regpol is for
# `helm test` and for `kubectl exec`.
# `make image` gives it its version, and so must you:
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg VERSION=v0.1.0 --tag NAME .
#
# Base images are named by tag so that a rebuild takes up their fixes; a release should pin both by digest.

# The compiler runs on the builder's platform and cross-compiles: no emulation.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src

# Modules first: a change of code does not fetch them again.
COPY go.mod go.sum ./
RUN go mod download

COPY . .
ARG TARGETOS TARGETARCH
# In metrics, Leases and stored snapshots: replicas of two builds must not take each other for the same.
ARG VERSION
RUN test -n "$VERSION" || { echo "no version: build with --build-arg VERSION=v1.2.3, as make image does" >&2; exit 1; }
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false \
    -ldflags "-s -w -X registrationpolicy.dev/operator/internal/version.stamped=$VERSION" -o /programs/ ./cmd/operator ./cmd/regpol

FROM gcr.io/distroless/static:nonroot
COPY --from=build /programs/operator /programs/regpol /
COPY LICENSE /LICENSE
ARG VERSION
LABEL org.opencontainers.image.version=$VERSION org.opencontainers.image.licenses=Apache-2.0
# By number, so that Kubernetes can see that it is not root (runAsNonRoot).
USER 65532:65532
# Hook, probes, metrics.
EXPOSE 8080 8081 9090
ENTRYPOINT ["/operator"]
