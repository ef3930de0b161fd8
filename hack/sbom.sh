#!/usr/bin/env bash
# Writes a CycloneDX bill of materials next to each program. Checks that it names exactly the modules that are linked
# into the program, each with a licence that we may ship. Arguments: the version, and programs; without, bin/operator
# and bin/regpol.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export GOWORK=off

tools=$(hack/supply.sh)
version=${1:-$(hack/version.sh)}
programs=("${@:2}")
((${#programs[@]} > 0)) || programs=(bin/operator bin/regpol)
output=$(mktemp)
trap 'rm -f "$output"' EXIT
for program in "${programs[@]}"; do
  # cyclonedx-gomod reads the program, so it works without a git work tree. It reads licences from the modules that the
  # build has downloaded. GONOPROXY, GONOSUMDB and GOVCS keep it from looking for our own module on the network.
  if ! GONOPROXY=registrationpolicy.dev GONOSUMDB=registrationpolicy.dev GOVCS='registrationpolicy.dev:off' "$tools/cyclonedx-gomod" bin -json -licenses -noserial -notimestamp -version "$version" \
    -output "$program.cdx.json" "$program" 2>"$output"; then
    cat "$output" >&2
    exit 1
  fi
  "$tools/bomcheck" "$program" "$program.cdx.json"
done
