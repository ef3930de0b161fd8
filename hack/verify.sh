#!/usr/bin/env bash
# Fails if generated files, go.mod files, formats or versions are out of date. Generation runs in a copy, so that it
# does not change the work tree, and sees untracked files too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
export GOWORK=off

readonly diff_lines=40
readonly recent_commits=50
readonly longest_subject=72
failures=0
fail() {
  echo "verify: $*" >&2
  failures=$((failures + 1))
}
# show prints the first lines of a diff.
show() { sed -n -e "s|$scratch/||g" -e "1,${diff_lines}p" "$1" >&2; }
step() { echo "verify: $*" >&2; }

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# All existing files of the work tree, committed or not, except those that git ignores.
mapfile -d '' -t files < <(git ls-files -z --cached --others --exclude-standard)
present=()
for file in "${files[@]}"; do
  [[ -f $file ]] && present+=("$file")
done
# The files whose format is checked. Test data is not among them, because its bytes must not change.
mapfile -t text < <(printf '%s\n' "${present[@]}" | grep -vE '(^|/)(testdata|vectors)/')
mapfile -t gofiles < <(printf '%s\n' "${present[@]}" | grep '\.go$')

step "generated files"
mkdir "$scratch/before"
printf '%s\0' "${present[@]}" | tar --null --files-from=- --create --file=- | tar --extract --file=- --directory="$scratch/before"
cp -a "$scratch/before" "$scratch/after"
if (cd "$scratch/after" && make generate) >"$scratch/log" 2>&1; then
  if ! diff -ru "$scratch/before" "$scratch/after" >"$scratch/diff"; then
    show "$scratch/diff"
    fail "generated files differ: run make generate and commit the result"
  fi
else
  cat "$scratch/log" >&2
  fail "make generate failed"
fi

step "go.mod and go.sum of every module"
for file in "${present[@]}"; do
  [[ $(basename "$file") == go.mod ]] || continue
  directory=$(dirname "$file")
  (cd "$directory" && go mod tidy -diff) >"$scratch/diff" 2>"$scratch/log" && continue
  show "$scratch/diff"
  grep -v '^go: downloading' "$scratch/log" >&2 || true
  fail "$file is not tidy: run go mod tidy in $directory"
done

step "formats"
unformatted=$(gofmt -s -l "${gofiles[@]}")
[[ -z $unformatted ]] || fail "gofmt -s would change: $unformatted"
if grep -nIE '[[:blank:]]+$' -- "${text[@]}" >&2; then
  fail "lines end in blanks"
fi
for file in "${text[@]}"; do
  [[ ! -s $file || -z $(tail -c1 "$file") ]] || fail "$file does not end in a newline"
done

step "versions of the test control plane"
# The tests must run against the Kubernetes release of our client library.
client=$(awk '$1 == "k8s.io/client-go" { print $2; exit }' go.mod)
server=$(awk '$1 == "k8s.io/kubernetes" { print $2; exit }' test/controlplane/go.mod)
client_minor=$(cut -d. -f2 <<<"$client")
server_minor=$(cut -d. -f2 <<<"$server")
[[ $client_minor == "$server_minor" ]] ||
  fail "go.mod has k8s.io/client-go $client, test/controlplane/go.mod k8s.io/kubernetes $server: they must be the same minor release"
strays=$(awk -v want="${server/#v1/v0}" '/=> k8s.io\// && $4 != want { print $1, $4 }' test/controlplane/go.mod)
[[ -z $strays ]] || fail "test/controlplane/go.mod replaces staging modules by another release than $server: $strays"

step "first lines of the last $recent_commits commits"
# Git's convention: an imperative sentence that fits a line of git log.
while read -r commit subject; do
  [[ ${#subject} -le $longest_subject ]] || fail "commit $commit: its first line has ${#subject} characters, over $longest_subject"
  first=${subject%% *}
  [[ $subject =~ ^[A-Z][a-z]+\  && ! ($first =~ (ed|ing)$ && ! $first =~ ^(Bring|Embed|Feed|Speed)$) && $subject != *. ]] ||
    fail "commit $commit: its first line is not an imperative without a full stop: $subject"
done < <(git log --no-merges --max-count="$recent_commits" --format='%h %s' 2>/dev/null)

step "paths of this machine"
if grep -nIF -e "$root/" -e "$HOME/" -- "${present[@]}" >&2; then
  fail "files name a path of this machine"
fi

if ((failures > 0)); then
  echo "verify: $failures failed" >&2
  exit 1
fi
echo "verify: ok, ${SECONDS}s" >&2
