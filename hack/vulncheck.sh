#!/usr/bin/env bash
# Fails if the programs can reach a vulnerability in the Go vulnerability database. Arguments, such as
# -db file:///somewhere, are passed to govulncheck. If the database cannot be reached, it says that nothing was checked,
# and passes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export GOWORK=off

tools=$(hack/supply.sh)
output=$(mktemp)
trap 'rm -f "$output"' EXIT
status=0
"$tools/govulncheck" "$@" ./cmd/... >"$output" 2>&1 || status=$?
if ((status != 0)) && grep -q '^govulncheck: fetching vulnerabilities: .*\(no such host\|dial tcp\|timeout\)' "$output"; then
  echo "vulncheck: the vulnerability database cannot be reached from here: NOTHING WAS CHECKED"
  exit 0
fi
cat "$output"
exit "$status"
