#!/usr/bin/env bash
# Runs every fuzz target for the time in the first argument (default 10s), one after the other, because one target uses
# all cores. Prints the number of executions of each at the end. With FUZZ_BUDGET it starts no target after that many
# seconds, and names those that it did not start.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export GOWORK=off

# How many executions go test spends on shortening an input with new coverage. With its default of a minute, a few long
# JSON bodies would take up a short run.
readonly minimize=100x

log=$(mktemp)
trap 'rm -f "$log"' EXIT

fuzztime=${1:-10s}
budget=${FUZZ_BUDGET:-}
ran=0
reached=

# Only packages with a fuzz target, because `go test -list` compiles and starts each test binary. rules comes first: it
# makes the decisions and compiles fastest, so it is fuzzed even if the budget is short.
mapfile -t directories < <(git grep -lE --untracked '^func Fuzz' -- '*_test.go' | xargs -r -n1 dirname | sort -u |
  awk '{ print ($0 == "rules" ? 0 : 1), $0 }' | sort -n -s | cut -d' ' -f2-)
for directory in ${directories[@]+"${directories[@]}"}; do
  if ! listed=$(go test -list '^Fuzz' "./$directory" 2>&1); then
    echo "$listed" >&2
    echo "fuzz: cannot list the targets of $directory: move them to a package whose tests start without a control plane" >&2
    exit 1
  fi
  targets=$(grep '^Fuzz' <<<"$listed" || true)
  for target in $targets; do
    if [[ -n $budget ]] && ((SECONDS > budget)); then
      echo "fuzz: $directory $target not started within ${budget}s"
      continue
    fi
    echo "fuzz: $directory $target for $fuzztime"
    if ! go test -run '^$' -fuzz "^$target\$" -fuzztime "$fuzztime" -fuzzminimizetime "$minimize" "./$directory" | tee "$log"; then
      # Go before 1.27 can report the end of -fuzztime as a failure (go.dev/issue/75804). A real failure also writes its
      # input.
      if grep -q 'Failing input written' "$log" || ! grep -qE '^ +context deadline exceeded$' "$log"; then
        exit 1
      fi
      echo "fuzz: $target: reached the end of its time; not a failure (go.dev/issue/75804)"
    fi
    reached+=$(printf '  %-22s %-24s %s' "$directory" "$target" "$(grep -oE 'execs: [0-9]+' "$log" | tail -1)")$'\n'
    ran=$((ran + 1))
  done
done

echo "fuzz: $ran targets, ${SECONDS}s"
printf '%s' "$reached"
((ran > 0)) || { echo "fuzz: no target found" >&2; exit 1; }
