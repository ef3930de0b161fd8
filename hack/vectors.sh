#!/usr/bin/env bash
# Says how many rows of test/vectors ran through the parsers and the server. A passing `go test` is silent, and a file that
# nobody reads would pass unseen: so this runs again, by themselves, the tests that log "… %d rows", "… %d address rows" or "… %d files".
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export GOWORK=off

# Prints, for a test file, the names of its tests that log so.
# shellcheck disable=SC2016 # awk's variables, not the shell's
readonly counting='/^func Test/ { name = $2; sub(/\(.*/, "", name) } /t\.Logf\(.*%d ([a-z]+ )?(rows|files)/ { print name }'

mapfile -t files < <(git grep -lE --untracked 't\.Logf\(.*%d ([a-z]+ )?(rows|files)' -- '*_test.go')
((${#files[@]} > 0)) || { echo "vectors: no test says how many rows it ran" >&2; exit 1; }
for directory in $(printf '%s\n' "${files[@]}" | xargs -n1 dirname | sort -u); do
  names=$(awk "$counting" "$directory"/*_test.go | sort -u | paste -sd'|' -)
  output=$(go test -count=1 -v -run "^($names)\$" "./$directory") || { grep -vE '^ *(=== |--- PASS)' <<<"$output" >&2; exit 1; }
  { grep -E ': .*[0-9]+ ([a-z]+ )?(rows|files)' <<<"$output" || true; } | sed -E "s|^ +[a-z0-9_]+_test\.go:[0-9]+: (vectors: )?|vectors: $directory: |"
done
