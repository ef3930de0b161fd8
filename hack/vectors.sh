#!/usr/bin/env bash
# Prints how many rows of test/vectors ran through the parsers and the server. A passing `go test` prints no counts, so
# a vector file that no test reads would go unnoticed. Runs again the tests that log "… %d rows", "… %d address rows" or
# "… %d files".
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export GOWORK=off

# Prints the names of the tests in a file that log such a count.
# shellcheck disable=SC2016 # awk's variables, not the shell's
readonly counting='/^func Test/ { name = $2; sub(/\(.*/, "", name) } /t\.Logf\(.*%d ([a-z]+ )?(rows|files)/ { print name }'

mapfile -t files < <(git grep -lE --untracked 't\.Logf\(.*%d ([a-z]+ )?(rows|files)' -- '*_test.go')
((${#files[@]} > 0)) || { echo "vectors: no test logs how many rows it ran" >&2; exit 1; }
for directory in $(printf '%s\n' "${files[@]}" | xargs -n1 dirname | sort -u); do
  names=$(awk "$counting" "$directory"/*_test.go | sort -u | paste -sd'|' -)
  output=$(go test -count=1 -v -run "^($names)\$" "./$directory") || { grep -vE '^ *(=== |--- PASS)' <<<"$output" >&2; exit 1; }
  { grep -E ': .*[0-9]+ ([a-z]+ )?(rows|files)' <<<"$output" || true; } | sed -E "s|^ +[a-z0-9_]+_test\.go:[0-9]+: (vectors: )?|vectors: $directory: |"
done
