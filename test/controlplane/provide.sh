#!/usr/bin/env bash
# Prints a directory with kube-apiserver, etcd and kubectl, to use as KUBEBUILDER_ASSETS. They are of the Kubernetes
# release in the go.mod next to this file. Only the path goes to stdout; progress goes to stderr. Tries in this order:
# $KUBEBUILDER_ASSETS, the cache outside of the work tree, the download of setup-envtest, a build from source.
set -euo pipefail

readonly setup_envtest=sigs.k8s.io/controller-runtime/tools/setup-envtest@v0.25.1
readonly setup_build_seconds=120 # building setup-envtest itself, its modules included
readonly reach_seconds=15        # limit for the list of downloads, if the network is blocked
readonly download_seconds=300    # some 100 MB
readonly report_seconds=30       # between two lines about a build, or about the run that this one waits for
readonly programs=(kube-apiserver etcd kubectl)

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
export GOWORK=off

version=$(awk '$1 == "k8s.io/kubernetes" { print $2; exit }' "$here/go.mod") # v1.37.2
version=${version#v}
[[ $version =~ ^1\.([0-9]+)\.[0-9]+$ ]] ||
  { echo "controlplane: no release of k8s.io/kubernetes in $here/go.mod (found \"$version\")" >&2; exit 1; }
minor=${BASH_REMATCH[1]}
platform=$(go env GOHOSTOS)-$(go env GOHOSTARCH)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/registrationpolicy-operator/envtest
target=$cache/$version-$platform
readonly version minor platform cache target

say() { echo "controlplane: $*" >&2; }

# complete succeeds if directory $1 holds every program.
complete() {
  local program
  for program in "${programs[@]}"; do
    [[ -x $1/$program ]] || return 1
  done
}

# cached prints the directory of an earlier build, or of an earlier download of the same minor release.
cached() {
  local directory
  for directory in "$target" "$cache/k8s/1.$minor".*-"$platform"; do
    if complete "$directory"; then
      echo "$directory"
      return
    fi
  done
  return 1
}

# download makes setup-envtest download the newest patch of the minor release into the cache.
download() {
  say "asking setup-envtest for Kubernetes 1.$minor (at most ${reach_seconds}s to find out whether it can be reached)"
  # Output is discarded, because a blocked network is normal: the build below follows.
  GOBIN=$scratch timeout "$setup_build_seconds" go install "$setup_envtest" >/dev/null 2>&1 || return 1
  timeout "$reach_seconds" "$scratch/setup-envtest" list --remote-only "1.$minor.x" >/dev/null 2>&1 || return 1
  say "downloading (at most ${download_seconds}s)"
  timeout "$download_seconds" "$scratch/setup-envtest" use "1.$minor.x" --bin-dir "$cache" >/dev/null 2>&1 || return 1
  cached >/dev/null
}

# build compiles the programs into a scratch directory and renames it, so that a concurrent run never sees an incomplete
# one.
build() {
  say "building Kubernetes $version and etcd from source: 4 to 10 minutes on two cores with an empty build cache, once"
  local stamp=k8s.io/component-base/version ldflags
  # Without the stamp the API server reports version v0.0.0-master, and does not report its features.
  ldflags="-s -w -X $stamp.gitVersion=v$version -X $stamp.gitMajor=1 -X $stamp.gitMinor=$minor"
  mkdir "$scratch/bin"
  compile() {
    local started=$SECONDS packages reported=0
    # The number of packages that are not in Go's build cache, to report progress: go build -v prints each of them.
    packages=$(cd "$here" && env -u GOOS -u GOARCH CGO_ENABLED=0 \
      go list -mod=readonly -deps -f '{{if .Stale}}{{.ImportPath}}{{end}}' "$2" | grep -c . || true)
    (cd "$here" && exec env -u GOOS -u GOARCH CGO_ENABLED=0 \
      go build -v -mod=readonly -buildvcs=false -ldflags "$ldflags" -o "$scratch/bin/$1" "$2") >"$scratch/$1.log" 2>&1 &
    builder=$!
    while kill -0 "$builder" 2>/dev/null; do
      sleep 1
      ((SECONDS - started >= (reported + 1) * report_seconds)) || continue
      reported=$(((SECONDS - started) / report_seconds))
      say "building $1 for $((SECONDS - started))s: $(compiled "$1") of $packages packages compiled"
    done
    wait "$builder" || { builder=; cat "$scratch/$1.log" >&2; return 1; }
    builder=
    say "built $1 in $((SECONDS - started))s"
  }
  compiled() { grep -cv ' ' "$scratch/$1.log" || true; } # other lines of go build -v, such as downloads, contain blanks
  compile etcd go.etcd.io/etcd/server/v3
  compile kubectl k8s.io/kubernetes/cmd/kubectl
  compile kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver
  rm -rf "$target" # it is incomplete, because a complete one would have been used above
  mv "$scratch/bin" "$target"
}

# lock waits for a concurrent run, to save a second build. It takes over the lock of a dead process. If two runs take it
# over at the same time, both build, which is safe because each renames a finished directory.
lock() {
  local owner since waited=$SECONDS reported=-1
  until mkdir "$cache/lock" 2>/dev/null; do
    owner=$(cat "$cache/lock/pid" 2>/dev/null || true)
    if [[ -n $owner ]] && ! kill -0 "$owner" 2>/dev/null; then
      rm -rf "$cache/lock"
      continue
    fi
    if (((SECONDS - waited) / report_seconds > reported)); then
      reported=$(((SECONDS - waited) / report_seconds))
      since=$(cat "$cache/lock/since" 2>/dev/null || echo "just now")
      say "waiting for process ${owner:-(just started)}, which has been preparing the programs since $since"
    fi
    sleep 1
  done
  locked=1
  date +%H:%M:%S >"$cache/lock/since"
  echo $$ >"$cache/lock/pid"
}

locked=
scratch=
builder=
cleanup() {
  [[ -z $builder ]] || kill "$builder" 2>/dev/null || true
  [[ -z $scratch ]] || rm -rf "$scratch"
  [[ -z $locked ]] || rm -rf "$cache/lock"
}
trap cleanup EXIT

if [[ -n ${KUBEBUILDER_ASSETS:-} ]]; then
  if complete "$KUBEBUILDER_ASSETS"; then
    say "using \$KUBEBUILDER_ASSETS"
    echo "$KUBEBUILDER_ASSETS"
    exit
  fi
  say "\$KUBEBUILDER_ASSETS lacks one of: ${programs[*]}; looking further"
fi

if ! cached; then
  mkdir -p "$cache"
  lock
  if ! cached; then # the run that held the lock may have filled the cache
    scratch=$(mktemp -d "$cache/scratch.XXXXXX")
    started=$SECONDS
    if ! download; then
      say "Kubernetes 1.$minor cannot be downloaded"
      build
    fi
    say "ready after $((SECONDS - started))s"
    cached
  fi
fi
