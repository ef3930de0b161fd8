#!/usr/bin/env bash
# Changes one operator at a time in the Go code of directories such as ./rules/lint, and of those below them. Prints the
# changes that no test notices: file:line:column, the kind of change, the line. gremlins makes the changes in a copy of
# the module, so the work tree stays as it is. ONE_IN=10 tries a random tenth of the changes, and counts the others as
# not viable. GOFLAGS=-skip=TestName leaves out slow tests. Do not edit the directories while it runs: gremlins reads each
# file when it comes to it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export GOWORK=off

# A change may make an endless loop or a deadlock. Its tests are stopped after this many times the processor time, or
# the duration, that the unchanged tests take with their build, and count as having noticed it. The duration is the
# longer one, because the machine may be busy.
readonly loop=4 deadlock=30

version=$(awk '$1 == "github.com/go-gremlins/gremlins" { print $2; exit }' tools/go.mod)
gremlins=${XDG_CACHE_HOME:-$HOME/.cache}/registrationpolicy-operator/gremlins-$version
if [[ ! -x $gremlins ]]; then
  mkdir -p "$(dirname "$gremlins")"
  # Built under a temporary name and renamed, so that a concurrent run never starts an incomplete binary.
  go -C tools build -buildvcs=false -o "$gremlins.$$" github.com/go-gremlins/gremlins/cmd/gremlins
  mv "$gremlins.$$" "$gremlins"
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export TMPDIR=$scratch MUTATE_GO MUTATE_TESTS MUTATE_PROFILE=$scratch/profile MUTATE_LOOP=$loop ONE_IN=${ONE_IN:-1}
MUTATE_GO=$(command -v go)

# gremlins runs `go test`, first for the coverage and then for each change. This program takes its place:
# - All code counts as covered. Go's coverage does not have the conditions of `case`, and gremlins would skip them.
# - The tests of a package below internal/ are also those of the package above it.
# - A change that does not compile ends with 2, as gremlins expects it, so that no test counts as having noticed it.
mkdir "$scratch/bin"
cat >"$scratch/bin/go" <<'END'
#!/usr/bin/env bash
[[ $1 == test ]] || exec "$MUTATE_GO" "$@"
timeout=20m unchanged=
while (($# > 0)); do
  case $1 in
  -timeout) timeout=$2 ;;
  -coverprofile) cp "$MUTATE_PROFILE" "$2" && unchanged=true ;;
  esac
  shift
done
read -ra tests <<<"$MUTATE_TESTS"
if [[ ! $unchanged ]]; then
  ((RANDOM % ONE_IN == 0)) || exit 2
  ulimit -t "$(<"$MUTATE_PROFILE.seconds")"
fi
TIMEFORMAT=%0U
{ time output=$("$MUTATE_GO" test -count=1 -vet=off -failfast -timeout "$timeout" "${tests[@]}" 2>&1); } 2>"$MUTATE_PROFILE.time" && {
  [[ ! $unchanged ]] || echo $((MUTATE_LOOP * ($(<"$MUTATE_PROFILE.time") + 2))) >"$MUTATE_PROFILE.seconds"
  exit 0
}
[[ $output != *'[build failed]'* ]] || exit 2
printf '%s\n' "$output"
exit 1
END
chmod +x "$scratch/bin/go"

directories=("${@%/}")
# Programs that generate tables have no tests.
packages=$(go list -f '{{if ne .Name "main"}}{{.ImportPath}}{{end}}' "${directories[@]/%//...}")
module=$(go list -m)
for package in $packages; do
  directory=./${package#"$module/"}
  MUTATE_TESTS=$package
  [[ $directory != ./*/internal/* ]] || MUTATE_TESTS+=" ${package%/internal/*}"
  # Without the files for other operating systems.
  go list -f 'mode: set{{range .GoFiles}}
{{$.ImportPath}}/{{.}}:1.1,99999.1 1 1{{end}}' "$package" >"$MUTATE_PROFILE"
  echo "mutate: $directory, tested by $MUTATE_TESTS" >&2
  # The directories below have runs of their own. Without the flags --invert… and --remove… gremlins makes fewer kinds.
  PATH=$scratch/bin:$PATH nice -n 15 "$gremlins" unleash "$directory" --exclude-files / --workers 1 \
    --timeout-coefficient "$deadlock" --invert-logical --invert-loopctrl --invert-assignments --invert-bitwise \
    --invert-bwassign --remove-self-assignments |
    while IFS= read -r text; do
      if [[ $text =~ LIVED\ ([A-Z_]+)\ at\ (.+):([0-9]+):([0-9]+)$ ]]; then
        file=$directory/${BASH_REMATCH[2]} line=${BASH_REMATCH[3]}
        echo "$file:$line:${BASH_REMATCH[4]}: ${BASH_REMATCH[1]}: $(sed -n "${line}{s/^[[:blank:]]*//;p}" "$file")"
      elif [[ ! $text =~ (KILLED|TIMED\ OUT|NOT\ VIABLE|NOT\ COVERED)\ [A-Z_]+\ at ]]; then
        echo "  $text" >&2
      fi
    done
done
