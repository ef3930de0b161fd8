# An image with the programs operator and regpol, linked statically, and nothing else: no shell, no package manager.
# They run as user 65532. regpol is for `helm test` and for `kubectl exec`.
# The build needs the argument VERSION, which `make image` passes:
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg VERSION=v0.1.0 --tag NAME .
#
# The base images are named by tag, so that a rebuild gets their fixes. A release should pin both by digest.

# The compiler runs on the platform of the builder and cross-compiles, because it would be slow in an emulator.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src

# Before the code is copied, so that a change of the code does not download the modules again.
COPY go.mod go.sum ./
RUN go mod download

COPY . .
ARG TARGETOS TARGETARCH
# Replicas write the version into metrics, Leases and stored snapshots. Without it, two builds could not be told apart.
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
# A number, because Kubernetes cannot check runAsNonRoot for a user name.
USER 65532:65532
# The ports of the hook, the probes and the metrics.
EXPOSE 8080 8081 9090
ENTRYPOINT ["/operator"]
