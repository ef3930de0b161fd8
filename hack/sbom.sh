#!/usr/bin/env bash
# Writes a CycloneDX bill of materials beside each program in bin/, and checks it: it names exactly the modules that the program was
# linked from, each with a licence that we may ship.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export GOWORK=off

tools=$(hack/supply.sh)
version=$(git describe --tags --always --dirty 2>/dev/null || echo unknown)
said=$(mktemp)
trap 'rm -f "$said"' EXIT
for program in operator regpol; do
  # Of the program itself, whatever it was built from: a work tree of git's, or none. The licences are in the modules, which the build
  # has downloaded but for what names their versions. Our own is looked for nowhere.
  if ! GONOPROXY=registrationpolicy.dev GONOSUMDB=registrationpolicy.dev GOVCS='registrationpolicy.dev:off' "$tools/cyclonedx-gomod" bin -json -licenses -noserial -notimestamp -version "$version" \
    -output "bin/$program.cdx.json" "bin/$program" 2>"$said"; then
    cat "$said" >&2
    exit 1
  fi
  "$tools/bomcheck" "bin/$program" "bin/$program.cdx.json"
done
