package manual

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/rules"
)

const acmeOnly = `{allow: {domains: [acme.com]}, message: Please sign up with your acme.com address.}`

// failed is the text that a user gets if Okta has no usable answer.
const failed = "There was an error creating your account. Please try registering again."

func TestThePageOfTheFirstHourIsTrue(t *testing.T) {
	t.Parallel()
	p := readPage(t, "okta/troubleshooting.md")
	t.Run("the texts that a person reads are on the page", func(t *testing.T) { textsOfTheFirstHour(t, p) })
	t.Run("find the call", func(t *testing.T) { findCall(t, p) })
	t.Run("a space in the address", func(t *testing.T) { blank(t, p) })
	t.Run("strict addresses", func(t *testing.T) { strictAddresses(t, p) })
	t.Run("401", func(t *testing.T) { badSecrets(t, p) })
	t.Run("what regpol call says", func(t *testing.T) { calls(t, p) })
	t.Run("TLS", func(t *testing.T) { badChain(t, p) })
	t.Run("404", func(t *testing.T) { wrongPath(t, p) })
	t.Run("503", func(t *testing.T) { notLoaded(t, p) })
	t.Run("no policy applies", func(t *testing.T) { noPolicy(t, p) })
	t.Run("missing e-mail", func(t *testing.T) { missingEmail(t, p) })
	t.Run("my message is not shown", func(t *testing.T) { twoMessages(t, p) })
	t.Run("an attribute is not set", func(t *testing.T) { attributes(t, p) })
	t.Run("a policy has no effect", func(t *testing.T) { noEffect(t, p) })
	p.complete(t)
}

func textsOfTheFirstHour(t *testing.T, p *page) {
	texts := rules.DefaultTexts()
	for _, text := range []string{
		failed, texts.Blank, texts.Invalid, withoutID(texts.NotAllowed), withoutID(texts.Unavailable),
		"Registration denied.", "Registration cannot be completed at this time.",
	} {
		if !p.names(t, text) {
			t.Errorf("docs/%s does not have %q", p.file, text)
		}
	}
}

// withoutID replaces the placeholder of the decision's id in a text by …, as on the page.
func withoutID(text string) string { return strings.ReplaceAll(text, "{id}.", "…") }

func badSecrets(t *testing.T, p *page) {
	op := startReady(t, "--policy-dir", policies(t, policy("acme", acmeOnly)))
	result := call(t, oktasim.Options{URL: op.hookURL, Header: authHeader, Credential: "Basic " + credential}, signUp("jo@acme.com"))
	if result.Status != http.StatusUnauthorized || result.Classic.String() != failed || result.IdentityEngine.String() != failed {
		t.Errorf("%d, and the person reads %q", result.Status, result.IdentityEngine)
	}
	call(t, oktasim.Options{URL: op.hookURL, Header: "X-Registration-Hook-Key", Credential: credential}, signUp("jo@acme.com"))
	twice(t, op)
	p.logs(t, "unauthorized-log", op)
	for _, result := range []string{"missing", "repeated"} {
		op.awaitLog(t, `"result":"`+result+`"`)
		if !p.names(t, "| `"+result+"` |") {
			t.Errorf("docs/%s has no row for %s", p.file, result)
		}
	}
	if err := os.Remove(filepath.Join(op.authDir, "okta")); err != nil {
		t.Fatal(err)
	}
	const noCredential = "No credential is left: calls that bring one are refused"
	op.awaitLog(t, noCredential)
	if !p.names(t, noCredential) {
		t.Errorf("docs/%s does not say %q", p.file, noCredential)
	}
}

// twice sends two header lines with the credential, as if a proxy had added one.
func twice(t *testing.T, op *operator) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, op.hookURL, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header[authHeader] = []string{credential, credential}
	if got := send(t, request).status; got != http.StatusUnauthorized {
		t.Errorf("two credentials: %d", got)
	}
}

func badChain(t *testing.T, p *page) {
	chain := newChain(t)
	op := startReady(t, "--policy-dir", policies(t, policy("acme", acmeOnly)), "--hook-tls-dir", chain.dir)
	op.hookURL = strings.Replace(op.hookURL, "http://", "https://", 1)
	options := oktasim.Options{URL: op.hookURL, Header: authHeader, Credential: credential, RootCAs: chain.roots}
	result := call(t, options, signUp("jo@acme.com"))
	if result.Outcome != oktasim.Failed || result.IdentityEngine.String() != failed {
		t.Errorf("%v, and the person reads %q", result.Outcome, result.IdentityEngine)
	}
	op.awaitLog(t, "HTTP server error")
	p.logs(t, "tls-log", op)
	chain.complete(t)
	op.awaitLog(t, "Certificate replaced")
	if got := call(t, options, signUp("jo@acme.com")); got.Outcome != oktasim.Registered {
		t.Errorf("with the whole chain: %v %q", got.Outcome, got.Faults)
	}
}

// calls runs regpol call against hooks with the faults of the page.
func calls(t *testing.T, p *page) {
	whole, cut := newChain(t), newChain(t)
	whole.complete(t)
	acme := []string{"--policy-dir", policies(t, policy("acme", acmeOnly))}
	outside := newShell(t)
	outside.write(t, "okta-key", credential+"\n")
	op := startReady(t, append(acme, "--hook-tls-dir", whole.dir)...)
	outside.public(t, op, whole)
	outside.finds(t, p, "/okta/registration/", "PathNotFound")
	outside.write(t, "okta-key", "Basic "+credential+"\n")
	outside.readsSecret(t, "okta-key")
	outside.run(t, p, "unauthorized-call")
	outside.write(t, "okta-key", credential+"\n")
	outside.public(t, startReady(t, append(acme, "--hook-tls-dir", cut.dir)...), cut)
	outside.finds(t, p, "/okta/registration", "IncompleteChain")
	outside.public(t, behindProxy(t, start(t, withoutCluster(t)...), whole), whole)
	outside.finds(t, p, "/okta/registration", "NoBackend")
}

// readsSecret adds to the shell a kubectl that takes the entry okta of the Secret from a file. The same command runs in a
// cluster on the page that creates the hook.
func (s *shell) readsSecret(t *testing.T, file string) {
	t.Helper()
	const command = "-n registration-policy get secret registration-hook-auth -o jsonpath={.data.okta}"
	s.write(t, "kubectl", "#!/bin/sh\n[ \"$*\" = '"+command+"' ] && exec base64 "+file+"\n")
	if err := os.Chmod(filepath.Join(s.dir, "kubectl"), 0o700); err != nil {
		t.Fatal(err)
	}
}

// finds fails the test unless regpol call finds a fault that the page names.
func (s *shell) finds(t *testing.T, p *page, path, fault string) {
	t.Helper()
	output := s.command(t, "regpol call https://hook.example.com"+path+" jo@acme.com --credential-file okta-key || true")
	if !strings.Contains(output, " "+fault+": ") || !p.names(t, "`"+fault+"`") {
		t.Errorf("regpol call and the page should both name %s:\n%s", fault, output)
	}
}

func wrongPath(t *testing.T, p *page) {
	const counter = `registration_policy_http_requests_total{code="404"}`
	op := startReady(t, "--policy-dir", policies(t, policy("acme", acmeOnly)))
	before := op.log.String()
	result := call(t, oktasim.Options{URL: op.hookURL + "/", Header: authHeader, Credential: credential}, signUp("jo@acme.com"))
	if result.Status != http.StatusNotFound || result.IdentityEngine.String() != failed {
		t.Errorf("%d, and the person reads %q", result.Status, result.IdentityEngine)
	}
	if !strings.Contains(op.get(t, "/metrics").body, counter+" 1\n") || !p.names(t, "`"+counter+"`") {
		t.Errorf("the page should name %s, which should be 1", counter)
	}
	if after := op.log.String(); after != before {
		t.Errorf("the page says that nothing is logged: %s", strings.TrimPrefix(after, before))
	}
}

// withoutCluster returns the flags of a replica whose API server does not answer.
func withoutCluster(t *testing.T) []string {
	t.Helper()
	kubeconfig := t.TempDir() + "/kubeconfig"
	write(t, kubeconfig, `{apiVersion: v1, kind: Config, current-context: none, contexts: [{name: none, context: {cluster: none}}],
 clusters: [{name: none, cluster: {server: "https://127.0.0.1:1"}}]}`) // nobody listens there
	return []string{"--kubeconfig", kubeconfig, "--namespace", namespace}
}

// behindProxy starts a proxy in front of a replica, and returns the replica with the proxy's URL. The proxy terminates
// TLS, and answers 502 if the replica refuses connections.
func behindProxy(t *testing.T, op *operator, chain *chain) *operator {
	t.Helper()
	target, err := url.Parse(op.hookURL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: target.Scheme, Host: target.Host})
	}})
	certificate, err := tls.LoadX509KeyPair(chain.dir+"/tls.crt", chain.dir+"/tls.key")
	if err != nil {
		t.Fatal(err)
	}
	proxy.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	proxy.StartTLS()
	t.Cleanup(proxy.Close)
	return &operator{hookURL: "http://" + proxy.Listener.Addr().String() + target.Path}
}

func notLoaded(t *testing.T, p *page) {
	op := start(t, withoutCluster(t)...)
	result := op.register(t, signUp("jo@acme.com"))
	if result.Status != 0 || result.Attempts != 2 || result.IdentityEngine.String() != failed {
		t.Errorf("%d after %d, and the person reads %q; want a refused connection", result.Status, result.Attempts, result.IdentityEngine)
	}
	p.logs(t, "not-loaded-log", op)
}

func noPolicy(t *testing.T, p *page) {
	op := startReady(t, "--policy-dir", policies(t,
		policy("acme", `{appliesTo: {sources: [rulOfAnotherPolicy]}, allow: {domains: [acme.com]}}`)))
	result := op.register(t, signUp("jo@acme.com"))
	const begin = "Registration is not available at the moment. Please try again later, or contact support with reference "
	if result.Outcome != oktasim.Denied || !strings.HasPrefix(result.Classic.String(), begin) ||
		!strings.HasPrefix(result.IdentityEngine.String(), begin) {
		t.Errorf("%v, and the person reads %q", result.Outcome, result.IdentityEngine)
	}
	if !strings.Contains(result.DebugContext, `"reason":"NoPolicyApplies"`) {
		t.Errorf("debugContext: %s", result.DebugContext)
	}
	p.logs(t, "no-policy-log", op)
	if again := op.register(t, oktasim.Registration{Email: "jo@acme.com", Source: "rulOfAnotherPolicy"}); again.Outcome != oktasim.Registered {
		t.Errorf("with the source that the policy names: %v", again.Outcome)
	}
}

func blank(t *testing.T, p *page) {
	op := startReady(t, "--policy-dir", policies(t, policy("acme", acmeOnly)))
	result := op.register(t, oktasim.Registration{Email: "jo@acme.com ", Login: "jo"})
	want := oktasim.Page{{Text: rules.DefaultTexts().Blank, Attribute: "email"}}
	if len(result.IdentityEngine) != 1 || result.IdentityEngine[0] != want[0] || result.Outcome != oktasim.Denied {
		t.Errorf("%v, and the person reads %v", result.Outcome, result.IdentityEngine)
	}
	for _, member := range []string{`"reason":"InvalidAddress"`, `"attribute":"email"`, `"invalid":"Blank"`} {
		if !strings.Contains(result.DebugContext, member) {
			t.Errorf("debugContext lacks %s: %s", member, result.DebugContext)
		}
	}
	p.logs(t, "blank-log", op)
}

// findCall looks up a denied call by the reference that the person reads, and its event by Okta's id of the request.
func findCall(t *testing.T, p *page) {
	const requestID = "fixture-request-1" // that of the event
	op := startReady(t, "--policy-dir", policies(t, policy("acme", acmeOnly), policy("partners", `{allow: {domains: [partner.example]}}`)))
	denied := op.register(t, oktasim.Registration{Email: "jo@elsewhere.example", RequestID: requestID})
	_, reference, found := strings.Cut(denied.IdentityEngine.String(), "contact support with reference ")
	if !found {
		t.Fatalf("the person reads no reference: %q", denied.IdentityEngine)
	}
	op.awaitLines(t, 1)
	reader := newShell(t)
	reader.write(t, "operator.log", op.log.String())
	find := p.block(t, "find")
	for i := range find.lines {
		find.lines[i] = strings.ReplaceAll(find.lines[i], "REFERENCE", strings.TrimSuffix(reference, "."))
	}
	reader.run(t, p, "find")
	const byDomain = `grep '"domain":"elsewhere.example"' operator.log`
	if got := reader.command(t, byDomain); !strings.Contains(got, strings.TrimSuffix(reference, ".")) || !p.names(t, "`"+byDomain+"`") {
		t.Errorf("the page should have %s, which prints %s", byDomain, got)
	}
	op.awaitLog(t, `"oktaRequestID":"`+requestID+`"`)

	var events []map[string]any
	if err := json.Unmarshal(fixtureJSON(t, "syslog-response-processed-deny.json"), &events); err != nil {
		t.Fatal(err)
	}
	for _, query := range p.block(t, "system-log").lines {
		path, value, found := strings.Cut(query, " eq ")
		value = strings.ReplaceAll(strings.Trim(value, `"`), "REQUEST-ID", requestID)
		matches := at(events[0], path) == value
		if other := value == "inline_hook.executed"; !found || matches == other {
			t.Errorf("the query %s finds the event of a processed answer: %t", query, matches)
		}
	}
}

// at returns the value at a path of members, or nil.
func at(event any, path string) any {
	for name := range strings.SplitSeq(path, ".") {
		members, _ := event.(map[string]any)
		event = members[name]
	}
	return event
}

// strictAddresses registers with the examples of the page.
func strictAddresses(t *testing.T, p *page) {
	dir := policies(t, policy("acme", `{allow: {domains: [acme.com, docomo.ne.jp]}}`))
	op, byEmail := startReady(t, "--policy-dir", dir), startReady(t, "--policy-dir", dir, "--address-attributes", "email")
	for _, c := range []struct{ example, email, login, want string }{
		{"jo..d@docomo.ne.jp", "jo..d@docomo.ne.jp", "", "BadLocalPart"},
		{"o’brien@acme.com", "o’brien@acme.com", "", "BadLocalPart"},
		{"jö@acme.com", "jö@acme.com", "", "BadLocalPart"},
		{"o'brien@acme.com", "o'brien@acme.com", "", "Allowed"},
		{"jo@intranet", "jo@intranet", "", "TooFewLabels"},
		{"o'brien", "jo@acme.com", "o'brien", "NoAtSign"},
		{"Blank", "jo@acme.com", "jo miller", "Blank"},
		{"jo.miller", "jo@acme.com", "jo.miller", "Allowed"},
	} {
		registration := oktasim.Registration{Email: c.email, Login: c.login}
		context := op.register(t, registration).DebugContext
		if !strings.Contains(context, `"`+c.want+`"`) || !p.names(t, "`"+c.example+"`") {
			t.Errorf("%s, which the page should have: %s, want %s", c.example, context, c.want)
		}
		if c.login != "" && reason(t, byEmail.register(t, registration)) != "Allowed" {
			t.Errorf("the login %s should not matter if email alone decides", c.login)
		}
	}
}

func missingEmail(t *testing.T, p *page) {
	dir := policies(t, policy("acme", acmeOnly))
	op := startReady(t, "--policy-dir", dir)
	result := op.register(t, oktasim.Registration{Login: "jo@acme.com"})
	want := oktasim.Page{{Text: rules.DefaultTexts().Invalid, Attribute: "email"}}
	if len(result.IdentityEngine) != 1 || result.IdentityEngine[0] != want[0] || reason(t, result) != "MissingAddress" {
		t.Errorf("%s, and the person reads %v", reason(t, result), result.IdentityEngine)
	}
	p.logs(t, "missing-log", op)
	byLogin := startReady(t, "--policy-dir", dir, "--address-attributes", "login")
	if got := byLogin.register(t, oktasim.Registration{Login: "jo@acme.com"}); got.Outcome != oktasim.Registered {
		t.Errorf("decided by the login: %v", got.Outcome)
	}
}

func twoMessages(t *testing.T, p *page) {
	op := startReady(t, "--policy-dir", policies(t, policy("acme", acmeOnly),
		policy("partners", `{allow: {domains: [partner.example]}, message: Please sign up with your company address.}`)))
	result := op.register(t, signUp("jo@elsewhere.example"))
	const begin = "Registration with this email address is not allowed. If you need help, contact support with reference "
	if got := result.IdentityEngine.String(); !strings.HasPrefix(got, begin) {
		t.Errorf("with two policies that allow, the person reads %q", got)
	}
	op.awaitLog(t, `"reason":"NotAllowed","policy":""`)
}

func attributes(t *testing.T, p *page) {
	employees := policy("acme", `{allow: {domains: [acme.com]}, profile: [{attribute: userType, value: Employee}]}`)
	const body = `{"eventType":"com.okta.user.pre-registration","data":{"userProfile":{"login":"jo@acme.com","email":"jo@acme.com"}}}`
	op := startReady(t, "--policy-dir", policies(t, employees))
	const command = "com.okta.user.profile.update"
	if !strings.Contains(op.post(t, body).body, `"type":"`+command+`","value":{"userType":"Employee"}`) || !p.names(t, "`"+command+"`") {
		t.Errorf("the page should name the command %s, which the answer should have", command)
	}
	update := oktasim.Registration{Shape: oktasim.ProgressiveProfile, Update: map[string]any{"email": "jo@acme.com"}}
	if got := op.register(t, update); got.Outcome != oktasim.Registered || len(got.ProfileUpdates) > 0 {
		t.Errorf("a progressive profile: %v %v", got.Outcome, got.ProfileUpdates)
	}
	two := startReady(t, "--policy-dir", policies(t, employees,
		policy("others", `{allow: {domains: [acme.com]}, profile: [{attribute: userType, value: Partner}]}`)))
	if got := two.register(t, signUp("jo@acme.com")); got.Outcome != oktasim.Registered || len(got.ProfileUpdates) > 0 {
		t.Errorf("two policies that disagree: %v %v", got.Outcome, got.ProfileUpdates)
	}
}

func noEffect(t *testing.T, p *page) {
	c := startCluster(t)
	c.create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team-b"}})
	reader := newShell(t, "KUBECONFIG="+c.adminKubeconfig)
	for _, object := range []struct{ namespace, name, spec string }{
		{namespace, "acme", acmeOnly},
		{namespace, "suffix", `{allow: {domains: [acme.co.uk, "*.co.uk"]}}`},
		{namespace, "trial", `{mode: Audit, deny: {domains: [acme.com]}}`},
		{"team-b", "partners", `{allow: {domains: [partner.example]}}`},
	} {
		reader.write(t, "policy.yaml", policy(object.name, object.spec))
		reader.command(t, "kubectl apply -f policy.yaml -n "+object.namespace)
	}
	op := startReady(t, c.inCluster()...)
	reader.command(t, "kubectl -n "+namespace+" wait --for=jsonpath='{.status.observedGeneration}'=1 regpol --all")
	reader.run(t, p, "no-effect")
	if got := reader.command(t, "kubectl -n "+namespace+" describe regpol suffix"); !strings.Contains(got, `Not in force: spec.allow.domains[1]: "*.co.uk"`) {
		t.Errorf("kubectl describe does not name the entry:\n%s", got)
	}
	reader.run(t, p, "explain")
	op.await(t, "jo@acme.com", "Allowed")
	op.await(t, "jo@partner.example", "NotAllowed")
}
