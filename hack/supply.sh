#!/usr/bin/env bash
# Prints the directory with the tools of tools/supply. Builds them once for each version, outside of the work tree.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export GOWORK=off GOFLAGS=

sum=$({ cat tools/supply/go.mod tools/supply/go.sum tools/supply/*/*.go && go version; } | sha256sum | cut -c1-12)
directory=${XDG_CACHE_HOME:-$HOME/.cache}/registrationpolicy-operator/supply/$sum
if [[ ! -d $directory ]]; then
  mkdir -p "$(dirname "$directory")"
  building=$(mktemp -d "$directory.XXXXXX") # renamed when complete, so that a concurrent run never starts an incomplete tool
  go -C tools/supply build -buildvcs=false -o "$building/" tool ./bomcheck
  chmod 755 "$building"
  mv -T "$building" "$directory" 2>/dev/null || rm -rf "$building" # a concurrent run was faster
fi
echo "$directory"
