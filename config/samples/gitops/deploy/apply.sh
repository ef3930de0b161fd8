#!/usr/bin/env bash
# Applies the policies and waits until each is in force on every replica. It does not delete policies whose file is gone.
set -euo pipefail
find policies -name '*.yaml' ! -name '*.regpol-test.yaml' -print0 | xargs -0 -n 1 kubectl apply -f
kubectl --namespace registration-policy wait --for=condition=Ready regpol --all --timeout=60s
