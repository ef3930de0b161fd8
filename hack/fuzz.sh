#!/usr/bin/env bash
# Runs every fuzz target for the time given as first argument (default 10s), one after the other, since one target uses all
# cores. With FUZZ_BUDGET (seconds) no target is started later than that; those not reached are named.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export GOWORK=off

fuzztime=${1:-10s}
budget=${FUZZ_BUDGET:-}
ran=0

# Only packages that have one are asked: `go test -list` compiles and starts each test binary.
mapfile -t directories < <(git grep -lE --untracked '^func Fuzz' -- '*_test.go' | xargs -r -n1 dirname | sort -u)
for directory in ${directories[@]+"${directories[@]}"}; do
  targets=$(go test -list '^Fuzz' "./$directory" | { grep '^Fuzz' || true; })
  for target in $targets; do
    if [[ -n $budget ]] && ((SECONDS > budget)); then
      echo "fuzz: $directory $target not reached within ${budget}s"
      continue
    fi
    echo "fuzz: $directory $target for $fuzztime"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "$fuzztime" "./$directory"
    ran=$((ran + 1))
  done
done

echo "fuzz: $ran targets, ${SECONDS}s"
((ran > 0)) || { echo "fuzz: no target found" >&2; exit 1; }
