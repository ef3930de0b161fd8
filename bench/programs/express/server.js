// The registration hook as an Express server, in the manner of the sample in Okta's guide: express.json for the body,
// express-basic-auth for the credential, a look at the domain of the address, a line for the log. The domains are read
// from the file RULES.
'use strict';

const fs = require('fs');
const http = require('http');
const https = require('https');
const basicAuth = require('express-basic-auth');
const express = require('express');

const rules = JSON.parse(fs.readFileSync(process.env.RULES, 'utf8'));
const allowed = new Map();
for (const [policy, domains] of Object.entries(rules.allowed)) {
  for (const domain of domains) allowed.set(domain, policy);
}
const denied = new Set(rules.denied);

// isDenied looks for the domain and all that it is below.
function isDenied(domain) {
  const labels = domain.split('.');
  return labels.some((_, i) => denied.has(labels.slice(i).join('.')));
}

// isAllowed says whether one policy allows all addresses, and none is denied.
function isAllowed(addresses) {
  const policies = new Set();
  for (const address of addresses) {
    const parts = address.toLowerCase().split('@');
    if (parts.length !== 2 || isDenied(parts[1])) return false;
    policies.add(allowed.get(parts[1]));
  }
  return policies.size === 1 && !policies.has(undefined);
}

const app = express();
app.use(basicAuth({ users: rules.users }));
app.use(express.json());
app.post('/okta/registration', (request, response) => {
  const data = request.body.data;
  const profile = data.userProfileUpdate || data.userProfile;
  const addresses = [profile.email, profile.login].filter((address) => address !== undefined);
  const allow = isAllowed(addresses);
  console.error(JSON.stringify({ time: new Date(), source: request.body.source, outcome: allow ? 'ALLOW' : 'DENY' }));
  const answer = { commands: [{ type: 'com.okta.action.update', value: { registration: allow ? 'ALLOW' : 'DENY' } }] };
  if (!allow) {
    answer.error = {
      errorSummary: rules.message,
      errorCauses: [{
        errorSummary: rules.message,
        reason: 'EMAIL_NOT_ALLOWED',
        locationType: 'body',
        location: 'data.userProfile.email',
        domain: 'end-user',
      }],
    };
  }
  response.json(answer);
});

const server = process.env.CERT
  ? https.createServer({ cert: fs.readFileSync(process.env.CERT), key: fs.readFileSync(process.env.KEY) }, app)
  : http.createServer(app);
server.keepAliveTimeout = 60000;
server.listen(0, '127.0.0.1', () => console.error(`listening 127.0.0.1:${server.address().port}`));
