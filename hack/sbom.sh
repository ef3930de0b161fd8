#!/usr/bin/env bash
# Writes a CycloneDX bill of materials beside each program in bin/, and checks it: it names exactly the modules that the program was
# linked from, each with a licence that we may ship.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export GOWORK=off

tools=$(hack/supply.sh)
for program in operator regpol; do
  "$tools/cyclonedx-gomod" app -json -licenses -noserial -notimestamp -main "cmd/$program" -output "bin/$program.cdx.json" . 2>/dev/null
  "$tools/bomcheck" "bin/$program" "bin/$program.cdx.json"
done
