#!/usr/bin/env bash
# Runs the benchmarks of the module bench one after the other, because each uses all cores. bench/README.md says what
# they compare. Only ratios within one run go into docs/performance.md: absolute times on a shared machine say little.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export GOWORK=off

KUBEBUILDER_ASSETS=$(test/controlplane/provide.sh)
export KUBEBUILDER_ASSETS
cd bench
go test -run '^$' -bench . -benchmem .
go run ./hook
go run ./overload
go run ./apply
