#!/usr/bin/env bash
# Prints what to try against `make run`; the arguments are the address it listens at and the file with the credential.
# The bodies hold what a decision needs; calls as Okta sends them stand in test/vectors/okta.
set -euo pipefail

call="curl -sS -w '\\n%{http_code}\\n' http://$1/okta/registration -H 'Content-Type: application/json'"
body() { printf '{"eventType":"com.okta.user.pre-registration","data":{"userProfile":{"login":"%s","email":"%s"}}}' "$1" "$1"; }

cat <<LINES
Try, in another terminal:

# allowed: the domain is on the list
$call -H "Authorization: \$(cat $2)" -d '$(body jo@acme.com)'

# denied, with the policy's text
$call -H "Authorization: \$(cat $2)" -d '$(body jo@elsewhere.example)'

# 401: no credential
$call -d '$(body jo@acme.com)'

Then edit a file in config/samples/quickstart and call again. Ctrl-C ends it.

LINES
