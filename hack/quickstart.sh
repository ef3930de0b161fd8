#!/usr/bin/env bash
# Builds the operator, runs it on policies in files without a cluster, and prints commands to try when it listens.
# Arguments: a directory for its files, the directory with the policies, and the addresses of hook, probes and metrics.
# The bodies hold only what a decision needs; test/vectors/okta has complete calls of Okta.
set -euo pipefail
dev=$1 policies=$2 hook=$3 probes=$4 metrics=$5

mkdir -p "$dev/hook-auth"
# Only the owner may read a credential. This one is public, but the file shows how to do it.
(umask 077 && printf '%s\n' demo-credential-not-a-secret >"$dev/hook-auth/demo")

lines() {
  local call="curl -sS -w '\\n%{http_code}\\n' http://$hook/okta/registration -H 'Content-Type: application/json'"
  cat <<LINES

The operator listens. Try, in another terminal, in this folder:

# allowed: the domain is on the list
$call -H "Authorization: \$(cat $dev/hook-auth/demo)" -d '$(body jo@acme.com)'

# denied, with the policy's text
$call -H "Authorization: \$(cat $dev/hook-auth/demo)" -d '$(body jo@elsewhere.example)'

# 401: no credential
$call -d '$(body jo@acme.com)'

Then edit a file in $policies and call again. Ctrl-C ends it.

LINES
}
ports() {
  echo "For other ports: make run POLICIES=$policies HOOK=127.0.0.1:9080 PROBES=127.0.0.1:9081 METRICS=127.0.0.1:9082" >&2
}
body() { printf '{"eventType":"com.okta.user.pre-registration","data":{"userProfile":{"login":"%s","email":"%s"}}}' "$1" "$1"; }

# Passes the log through until the operator ends. Ctrl-C must stop only the operator.
log() {
  trap '' INT TERM
  while IFS= read -r line; do
    printf '%s\n' "$line" >&2
    if [[ $line == *' msg=Starting '* ]]; then lines; fi
    if [[ $line == *'another process listens at '* ]]; then ports; fi
  done
}

echo "Building the operator: one or two minutes for the first time, then seconds."
go build -o "$dev/operator" ./cmd/operator
exec "$dev/operator" --policy-dir "$policies" --hook-auth-dir "$dev/hook-auth" --log-format text --drain-delay 0s \
  --hook-bind-address "$hook" --probe-bind-address "$probes" --metrics-bind-address "$metrics" 2> >(log)
