#!/usr/bin/env bash
# Runs every fuzz target for the time given as first argument (default 10s), one after the other, since one target uses all
# cores, and ends with the executions that each reached. With FUZZ_BUDGET (seconds) no target is started later than that; those
# not reached are named.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export GOWORK=off

# How often go test runs an input of new coverage to make it shorter. At its default, a minute, a few long bodies of JSON take all of
# a short run, and little else is tried.
readonly shorten=100x

log=$(mktemp)
trap 'rm -f "$log"' EXIT

fuzztime=${1:-10s}
budget=${FUZZ_BUDGET:-}
ran=0
reached=

# Only packages that have one are asked: `go test -list` compiles and starts each test binary. The core comes first, since it decides
# and compiles fastest: where time is short, it has had its turn.
mapfile -t directories < <(git grep -lE --untracked '^func Fuzz' -- '*_test.go' | xargs -r -n1 dirname | sort -u |
  awk '{ print ($0 == "rules" ? 0 : 1), $0 }' | sort -n -s | cut -d' ' -f2-)
for directory in ${directories[@]+"${directories[@]}"}; do
  if ! listed=$(go test -list '^Fuzz' "./$directory" 2>&1); then
    echo "$listed" >&2
    echo "fuzz: $directory cannot name its targets: they belong into a package whose tests need nothing" >&2
    exit 1
  fi
  targets=$(grep '^Fuzz' <<<"$listed" || true)
  for target in $targets; do
    if [[ -n $budget ]] && ((SECONDS > budget)); then
      echo "fuzz: $directory $target not reached within ${budget}s"
      continue
    fi
    echo "fuzz: $directory $target for $fuzztime"
    if ! go test -run '^$' -fuzz "^$target\$" -fuzztime "$fuzztime" -fuzzminimizetime "$shorten" "./$directory" | tee "$log"; then
      # Go before 1.27 can take the end of the time for a fault (go.dev/issue/75804). A real one writes the input that it found.
      if grep -q 'Failing input written' "$log" || ! grep -qE '^ +context deadline exceeded$' "$log"; then
        exit 1
      fi
      echo "fuzz: $target: the end of the time, not a finding (go.dev/issue/75804)"
    fi
    reached+=$(printf '  %-22s %-24s %s' "$directory" "$target" "$(grep -oE 'execs: [0-9]+' "$log" | tail -1)")$'\n'
    ran=$((ran + 1))
  done
done

echo "fuzz: $ran targets, ${SECONDS}s"
printf '%s' "$reached"
((ran > 0)) || { echo "fuzz: no target found" >&2; exit 1; }
