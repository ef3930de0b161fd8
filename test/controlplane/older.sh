#!/usr/bin/env bash
# Prints a directory with the kube-apiserver of an older Kubernetes release, and the etcd and kubectl of provide.sh, to
# use as KUBEBUILDER_ASSETS. Builds kube-apiserver once from its Go modules. Only the path goes to stdout.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[[ ${1:-} =~ ^1\.([0-9]+)\.([0-9]+)$ ]] || { echo "older.sh: write a release, as in 1.30.14" >&2; exit 2; }
version=$1 minor=${BASH_REMATCH[1]} patch=${BASH_REMATCH[2]}
current=$(unset KUBEBUILDER_ASSETS && "$here/provide.sh")
target=${XDG_CACHE_HOME:-$HOME/.cache}/registrationpolicy-operator/older/$version-$(go env GOHOSTOS)-$(go env GOHOSTARCH)
export GOWORK=off

if [[ ! -x $target/kube-apiserver ]]; then
  echo "older.sh: building kube-apiserver $version from source: about 4 minutes on two cores, once" >&2
  mkdir -p "$(dirname "$target")"
  scratch=$(mktemp -d "$(dirname "$target")/scratch.XXXXXX")
  trap 'rm -rf "$scratch"' EXIT
  published=$(go mod download -json "k8s.io/kubernetes@v$version" | awk -F'"' '$2 == "GoMod" { print $4 }')
  # The go.mod of k8s.io/kubernetes, with published versions instead of the staging modules in its own tree.
  {
    echo "module older"
    awk '$1 == "go" { print "\n" $0 "\n"; exit }' "$published"
    echo "require k8s.io/kubernetes v$version"
    awk '/^require \(/, /^\)/ { if ($2 != "v0.0.0") print }' "$published"
    awk -v version="v0.$minor.$patch" '/=> \.\/staging\// { print "replace " ($1 == "replace" ? $2 : $1) " => " \
      ($1 == "replace" ? $2 : $1) " " version }' "$published"
  } >"$scratch/go.mod"
  mkdir "$scratch/bin"
  stamp=k8s.io/component-base/version
  (cd "$scratch" && CGO_ENABLED=0 nice go build -mod=mod -buildvcs=false -o bin/ \
    -ldflags "-s -w -X $stamp.gitVersion=v$version -X $stamp.gitMajor=1 -X $stamp.gitMinor=$minor" \
    k8s.io/kubernetes/cmd/kube-apiserver) >&2
  ln -s "$current/etcd" "$current/kubectl" "$scratch/bin/"
  mv "$scratch/bin" "$target"
fi
echo "$target"
