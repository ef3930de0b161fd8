#!/usr/bin/env bash
# Runs golangci-lint with kube-api-linter (tools/lint) on the operator's module; arguments are passed to `golangci-lint
# run`. The binary is cached outside of the work tree, by the digest of its sources, and so built once for each version.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export GOWORK=off

version=$(awk '$1 == "github.com/golangci/golangci-lint/v2" { print $2; exit }' tools/lint/go.mod)
sum=$({ cat tools/lint/go.mod tools/lint/go.sum tools/lint/main.go && go version; } | sha256sum | cut -c1-12)
directory=${XDG_CACHE_HOME:-$HOME/.cache}/registrationpolicy-operator/lint
binary=$directory/golangci-lint-$version-$sum

if [[ ! -x $binary ]]; then
  echo "lint: building golangci-lint $version with kube-api-linter: about two minutes on two cores, once" >&2
  mkdir -p "$directory"
  # Built under a temporary name and renamed, so that a concurrent run never starts an incomplete binary. -p 2 keeps
  # memory below 4 GiB.
  go -C tools/lint build -p 2 -buildvcs=false -o "$binary.$$" .
  mv "$binary.$$" "$binary"
fi

"$binary" run "$@"
