#!/usr/bin/env bash
# Writes a CycloneDX bill of materials next to each program in bin/. Checks that it names exactly the modules that are
# linked into the program, each with a licence that we may ship.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export GOWORK=off

tools=$(hack/supply.sh)
version=$(git describe --tags --always --dirty 2>/dev/null || echo unknown)
output=$(mktemp)
trap 'rm -f "$output"' EXIT
for program in operator regpol; do
  # cyclonedx-gomod reads the program, so it works without a git work tree. It reads licences from the modules that the
  # build has downloaded. GONOPROXY, GONOSUMDB and GOVCS keep it from looking for our own module on the network.
  if ! GONOPROXY=registrationpolicy.dev GONOSUMDB=registrationpolicy.dev GOVCS='registrationpolicy.dev:off' "$tools/cyclonedx-gomod" bin -json -licenses -noserial -notimestamp -version "$version" \
    -output "bin/$program.cdx.json" "bin/$program" 2>"$output"; then
    cat "$output" >&2
    exit 1
  fi
  "$tools/bomcheck" "bin/$program" "bin/$program.cdx.json"
done
