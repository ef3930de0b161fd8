#!/usr/bin/env bash
# Prints a directory with the programs nginx and haproxy. Only the path goes to stdout; progress and versions go to
# stderr. Tries in this order: $PROXIES_DIR, the directories of $PATH and /usr/sbin, the cache outside of the work tree,
# Debian's packages unpacked into that cache. Installs nothing and needs no root.
set -euo pipefail

readonly fetch_seconds=120 # limit for package lists and some 4 MB of packages, if the network is blocked
readonly programs=(nginx haproxy)
readonly fix="install nginx and haproxy (apt-get install nginx haproxy), or set PROXIES_DIR to a directory with both"

say() { echo "proxies: $*" >&2; }
fail() {
  say "$*: $fix"
  exit 1
}

# complete succeeds if both programs in directory $1 run.
complete() {
  local program
  for program in "${programs[@]}"; do
    "$1/$program" -v >/dev/null 2>&1 || return 1
  done
}

# use prints directory $1 and the versions of its programs, and exits.
use() {
  say "$("$1/nginx" -v 2>&1 | head -n 1); $("$1/haproxy" -v | head -n 1)"
  echo "$1"
  exit
}

if [[ -n ${PROXIES_DIR:-} ]]; then
  complete "$PROXIES_DIR" || fail "\$PROXIES_DIR lacks one of ${programs[*]}"
  use "$PROXIES_DIR"
fi
IFS=: read -ra directories <<<"$PATH:/usr/local/sbin:/usr/sbin"
for directory in "${directories[@]}"; do
  if complete "$directory"; then
    use "$directory"
  fi
done

for program in apt-get dpkg dpkg-deb; do
  command -v "$program" >/dev/null || fail "no nginx and haproxy here, and no $program to unpack Debian's"
done
# shellcheck source=/dev/null
system=$(. /etc/os-release && echo "$ID-${VERSION_ID:-rolling}")-$(dpkg --print-architecture)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/registrationpolicy-operator/proxies
target=$cache/$system
readonly system cache target
if complete "$target"; then
  use "$target"
fi

mkdir -p "$cache"
scratch=$(mktemp -d "$cache/scratch.XXXXXX")
readonly scratch
trap 'rm -rf "$scratch"' EXIT
started=$SECONDS
say "fetching Debian's packages of ${programs[*]} (at most ${fetch_seconds}s)"
# Our own copies of the lists and packages: those of the system may be missing or old, and only root may update them.
mkdir -p "$scratch"/{lists,archives}/partial "$scratch/packages"
apt() {
  timeout "$fetch_seconds" apt-get -qq -o Dir::State::Lists="$scratch/lists" -o Dir::Cache="$scratch" \
    -o Dir::Cache::Archives="$scratch/archives" -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=1 "$@" >&2
}
apt update || fail "apt-get update failed"
# The packages that an installation would add: the programs, and libraries that are missing here.
packages=$(apt -s --no-install-recommends install "${programs[@]}" 2>&1 | awk '$1 == "Inst" { print $2 }')
[[ -n $packages ]] || fail "apt-get knows no package of ${programs[*]}"
# shellcheck disable=SC2086 # packages is a list of names
(cd "$scratch/packages" && apt download $packages) || fail "apt-get download failed"
mkdir "$scratch/ready"
for package in "$scratch"/packages/*.deb; do
  dpkg-deb -x "$package" "$scratch/ready/root" || fail "dpkg-deb cannot unpack $(basename "$package")"
done
libraries=$(cd "$scratch/ready/root" && echo usr/lib/*-linux-gnu)
for program in "${programs[@]}"; do
  # A wrapper that sets the library path. It uses exec, because the program finds itself by the path it was started
  # with.
  cat >"$scratch/ready/$program" <<WRAPPER
#!/bin/sh
root=\$(dirname "\$(readlink -f "\$0")")/root
LD_LIBRARY_PATH=\$root/$libraries\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH} exec "\$root/usr/sbin/$program" "\$@"
WRAPPER
  chmod 755 "$scratch/ready/$program"
done
complete "$scratch/ready" || fail "Debian's packages do not run here"
rm -rf "$target" # it is incomplete, because a complete one would have been used above
# A concurrent run may have been faster.
mv -T "$scratch/ready" "$target" 2>/dev/null || complete "$target" || fail "cannot write $target"
say "ready after $((SECONDS - started))s"
use "$target"
