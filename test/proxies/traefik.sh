#!/usr/bin/env bash
# Prints the path of the program traefik, of the release in traefik/go.mod next to this file. Only the path goes to
# stdout. Tries in this order: $TRAEFIK, the cache outside of the work tree, a build from source.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
export GOWORK=off GOFLAGS=

if [[ -n ${TRAEFIK:-} ]]; then
  echo "$TRAEFIK"
  exit
fi
sum=$({ cat "$here"/traefik/go.mod "$here"/traefik/go.sum && go version; } | sha256sum | cut -c1-12)
target=${XDG_CACHE_HOME:-$HOME/.cache}/registrationpolicy-operator/proxies/traefik-$sum
readonly sum target
if [[ ! -x $target ]]; then
  echo "proxies: building Traefik from source: some minutes, once" >&2
  mkdir -p "$(dirname "$target")"
  building=$(mktemp "$target.XXXXXX") # renamed when complete, so that a concurrent run never starts an incomplete program
  trap 'rm -f "$building"' EXIT
  env -u GOOS -u GOARCH go -C "$here/traefik" build -buildvcs=false -trimpath -ldflags '-s -w' -o "$building" \
    github.com/traefik/traefik/v3/cmd/traefik >&2 || { echo "proxies: Traefik cannot be built: set TRAEFIK to its program" >&2; exit 1; }
  chmod 755 "$building"
  mv -T "$building" "$target"
fi
echo "$target"
