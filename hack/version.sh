#!/usr/bin/env bash
# Prints the version for programs and image: the chart's appVersion, such as v0.1.0, if the work tree is equal to that
# tag. Otherwise it adds the commit, and .dirty if the work tree has changes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

release=v$(sed -n 's/^appVersion: *//p' charts/registration-policy-operator/Chart.yaml)
commit=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
changes=
if [[ -n $(git status --porcelain 2>/dev/null) ]]; then
  changes=.dirty
fi
if [[ -z $changes && $(git describe --exact-match --tags 2>/dev/null || true) == "$release" ]]; then
  echo "$release"
else
  echo "$release+$commit$changes"
fi
