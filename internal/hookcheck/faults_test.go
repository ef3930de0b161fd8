package hookcheck_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	hf "registrationpolicy.dev/operator/internal/hookcheck"
	"registrationpolicy.dev/operator/internal/oktasim"
)

const (
	allowCommand = `{"type":"com.okta.action.update","value":{"registration":"ALLOW"}}`
	denyCommand  = `{"type":"com.okta.action.update","value":{"registration":"DENY"}}`
	cause        = `{"errorSummary":"No.","reason":"EMAIL_NOT_ALLOWED","locationType":"body",` +
		`"location":"data.userProfile.email","domain":"end-user"}`
	failure = `{"errorSummary":"No.","errorCauses":[` + cause + `]}`
	allow   = `{"commands":[` + allowCommand + `]}`
	deny    = `{"commands":[` + denyCommand + `],"error":` + failure + `}`
)

// short is a patience for hooks that never answer.
const short = 300 * time.Millisecond

// scene is a hook and what is wrong with it.
type scene struct {
	hook  func(t *testing.T) hf.Options
	shape oktasim.Shape
	want  oktasim.Outcome
	names []hf.Name
	says  []string // parts of the faults' texts
}

// answered is a scene of a hook that authenticates its callers and answers 200 with a body.
func answered(body string, want oktasim.Outcome, names ...hf.Name) scene {
	return served200(guarded(answers(body)), want, names...)
}

func served200(handler http.HandlerFunc, want oktasim.Outcome, names ...hf.Name) scene {
	return scene{hook: func(t *testing.T) hf.Options { return serve(t, handler) }, want: want, names: names}
}

func (s scene) saying(parts ...string) scene { s.says = parts; return s }

func (s scene) of(shape oktasim.Shape) scene { s.shape = shape; return s }

func (s scene) with(change func(*hf.Options)) scene {
	hook := s.hook
	s.hook = func(t *testing.T) hf.Options {
		o := hook(t)
		change(&o)
		return o
	}
	return s
}

func impatient(o *hf.Options) { o.Call.Timeout = short }

const (
	failed = oktasim.Failed
	denied = oktasim.Denied
	comes  = oktasim.Registered
)

func scenes() map[string]scene {
	all := map[string]scene{
		"a hook that allows":          answered(allow, comes),
		"a hook that denies":          answered(deny, denied),
		"a hook that allows with 204": served200(guarded(status(204)), comes),
	}
	for _, group := range []map[string]scene{waysThere(), certificates(), statuses(), bodies()} {
		maps.Copy(all, group)
	}
	return all
}

// here returns options that call a hook by its address on this machine, and do not allow http.
func here(o hf.Options) hf.Options {
	o.Call.URL = "http://" + o.Resolve[host+port("http")].String() + "/okta"
	o.PlainHTTP, o.Resolve = false, nil
	return o
}

func waysThere() map[string]scene {
	named := func(url string) func(t *testing.T) hf.Options {
		return func(t *testing.T) hf.Options {
			return hf.Options{Call: oktasim.Options{URL: url, Credential: credential}, Resolver: resolver(t)}
		}
	}
	to := func(address string) func(t *testing.T) hf.Options {
		return func(*testing.T) hf.Options {
			o := at(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, "http")
			o.Resolve[host+port("http")] = netip.MustParseAddrPort(address)
			return o
		}
	}
	return map[string]scene{
		"an http URL": {hook: named("http://" + host + "/okta"), names: []hf.Name{hf.NotHTTPS}, says: []string{"nothing was sent"}},
		"an http URL of this machine": {
			hook: func(t *testing.T) hf.Options { return here(serve(t, guarded(answers(allow)))) }, want: comes,
			names: []hf.Name{hf.PlainHTTP}, says: []string{"to this machine"},
		},
		"an http URL of this machine that denies": {
			hook: func(t *testing.T) hf.Options { return here(serve(t, guarded(answers(deny)))) }, want: denied,
			names: []hf.Name{hf.PlainHTTP},
		},
		"an http URL of this machine's name that leads elsewhere": {
			hook: func(*testing.T) hf.Options {
				return hf.Options{
					Call:    oktasim.Options{URL: "http://localhost/okta", Credential: credential},
					Resolve: map[string]netip.AddrPort{"localhost:80": netip.MustParseAddrPort("192.0.2.1:80")},
				}
			},
			names: []hf.Name{hf.NotHTTPS}, says: []string{"leads to another machine; nothing was sent"},
		},
		"a name that is not in DNS": {
			hook: named("https://missing.example.com/okta"), names: []hf.Name{hf.NameNotFound}, says: []string{"missing.example.com"},
		},
		"a zone that is broken": {hook: named("https://broken.example.com/"), names: []hf.Name{hf.NameLookupFailed}},
		"a name server that does not answer": scene{
			hook: named("https://silent.example.com/"), names: []hf.Name{hf.NameLookupFailed}, says: []string{"did not answer"},
		}.with(impatient),
		"a name with AAAA records alone": {
			hook: named("https://six.example.com/"), names: []hf.Name{hf.NoIPv4}, says: []string{"2001:db8::1"},
		},
		"an IPv6 address in the URL":   {hook: named("https://[2001:db8::1]/"), names: []hf.Name{hf.NoIPv4}},
		"an IPv6 address by --resolve": {hook: to("[::1]:80"), names: []hf.Name{hf.NoIPv4}},
		"a name that leads inside": {
			hook: named("https://inside.example.com:1/"), names: []hf.Name{hf.PrivateAddress, hf.ConnectionRefused},
			says: []string{"inside.example.com is at 127.0.0.1", "127.0.0.1:1 refuses"},
		},
		"an address inside": {
			hook: named("https://127.0.0.1:1/"), names: []hf.Name{hf.PrivateAddress, hf.ConnectionRefused},
		},
		"a port at which nothing listens": {hook: to("127.0.0.1:1"), names: []hf.Name{hf.ConnectionRefused}},
		"an address without a way to it":  {hook: to("255.255.255.255:80"), names: []hf.Name{hf.Unreachable}},
		"packets that are dropped": scene{
			hook: func(t *testing.T) hf.Options { return at(full(t), "http") }, names: []hf.Name{hf.ConnectTimeout},
		}.with(impatient),
		"a server that hangs up": {
			hook: func(t *testing.T) hf.Options {
				return speak(t, "http", func(c net.Conn) { _, _ = c.Read(make([]byte, 1<<12)) })
			},
			names: []hf.Name{hf.ConnectionBroken},
		},
		"a server that hangs up in the midst of its answer": {
			hook: func(t *testing.T) hf.Options {
				return speak(t, "http", func(c net.Conn) {
					_, _ = c.Read(make([]byte, 1<<12))
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
				})
			},
			names: []hf.Name{hf.ConnectionBroken},
		},
		"a server of another protocol": {
			hook: func(t *testing.T) hf.Options {
				return speak(t, "http", func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-OpenSSH_9.9\r\n") })
			},
			names: []hf.Name{hf.ConnectionBroken},
		},
		"a server that never answers": scene{
			hook: func(t *testing.T) hf.Options {
				return speak(t, "http", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
			},
			names: []hf.Name{hf.Timeout},
		}.with(impatient),
		"a TLS server that never answers": scene{
			hook: func(t *testing.T) hf.Options {
				return speak(t, "https", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
			},
			names: []hf.Name{hf.Timeout}, says: []string{"TLS handshake"},
		}.with(impatient),
		"a server that takes more than half of the time": served200(guarded(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(oktasim.DefaultTimeout/2 + 50*time.Millisecond)
			answers(allow)(w, r)
		}), comes, hf.Slow),
		"a server that fails at first": {
			hook: func(t *testing.T) hf.Options {
				var calls atomic.Int32
				return serve(t, guarded(func(w http.ResponseWriter, r *http.Request) {
					if calls.Add(1) == 1 {
						w.WriteHeader(http.StatusBadGateway)
						return
					}
					answers(allow)(w, r)
				}))
			},
			want: comes, names: []hf.Name{hf.AnsweredOnRetry}, says: []string{"attempt 1: status 502"},
		},
	}
}

func certificates() map[string]scene {
	of := func(config func(t *testing.T, p *pki) *tls.Config, want oktasim.Outcome, names ...hf.Name) scene {
		return scene{hook: func(t *testing.T) hf.Options {
			p := newPKI(t)
			return p.serveTLS(t, config(t, p))
		}, want: want, names: names}
	}
	chain := func(change func(*x509.Certificate)) func(t *testing.T, p *pki) *tls.Config {
		return func(t *testing.T, p *pki) *tls.Config {
			c := leaf()
			c.IssuingCertificateURL = []string{"http://ca.example/intermediate.crt"}
			change(c)
			return served(issue(t, p.intermediate, c), p.intermediate)
		}
	}
	private := func(t *testing.T, p *pki) *tls.Config { return served(issue(t, p.private, leaf())) }
	day := 24 * time.Hour
	return map[string]scene{
		"a certificate of a public CA with its chain": of(chain(func(*x509.Certificate) {}), comes),
		"a certificate that has expired": of(chain(func(c *x509.Certificate) {
			c.NotAfter = time.Now().Add(-day)
		}), failed, hf.CertificateExpired),
		"a certificate that is not valid yet": of(chain(func(c *x509.Certificate) {
			c.NotBefore = time.Now().Add(day)
		}), failed, hf.CertificateNotYetValid),
		"a certificate that expires in three days": of(chain(func(c *x509.Certificate) {
			c.NotAfter = time.Now().Add(3 * day)
		}), comes, hf.CertificateExpiresSoon),
		"a certificate of six days with three to go": of(chain(func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-3*day), time.Now().Add(3*day)
		}), comes),
		"an intermediate certificate that has expired": of(func(t *testing.T, p *pki) *tls.Config {
			old := issue(t, p.root, &x509.Certificate{
				Subject: pkix.Name{CommonName: "Old Intermediate"}, IsCA: true, KeyUsage: x509.KeyUsageCertSign, NotAfter: time.Now().Add(-day),
			})
			return served(issue(t, old, leaf()), old)
		}, failed, hf.CertificateExpired).saying("the certificate of Old Intermediate expired"),
		"a certificate of another host": of(chain(func(c *x509.Certificate) {
			c.DNSNames = []string{"other.example.com"}
		}), failed, hf.CertificateName).saying("hook.example.com is not among its names: other.example.com"),
		"a certificate of another host that has expired too": of(chain(func(c *x509.Certificate) {
			c.DNSNames, c.NotAfter = nil, time.Now().Add(-day)
		}), failed, hf.CertificateName, hf.CertificateExpired).saying("it has none"),
		"a certificate for clients": of(chain(func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}), failed, hf.CertificateInvalid),
		"a self-signed certificate": of(func(t *testing.T, _ *pki) *tls.Config {
			return served(issue(t, nil, leaf()))
		}, failed, hf.SelfSigned),
		"a certificate without the intermediate one": of(func(t *testing.T, p *pki) *tls.Config {
			c := leaf()
			c.IssuingCertificateURL = []string{"http://ca.example/intermediate.crt"}
			return served(issue(t, p.intermediate, c))
		}, failed, hf.IncompleteChain).saying("but not that of CN=Public Intermediate"),
		"a certificate with a wrong intermediate one": of(func(t *testing.T, p *pki) *tls.Config {
			c := leaf()
			c.IssuingCertificateURL = []string{"http://ca.example/intermediate.crt"}
			return served(issue(t, p.intermediate, c), authority(t, "Another", p.root))
		}, failed, hf.IncompleteChain),
		"a certificate of a private CA": of(private, failed, hf.UnknownAuthority).saying("issued by CN=Company CA"),
		"a certificate of a private CA that sends its root": of(func(t *testing.T, p *pki) *tls.Config {
			return served(issue(t, p.private, leaf()), p.private)
		}, failed, hf.UnknownAuthority),
		"a certificate of a private CA that one was told of": {hook: func(t *testing.T) hf.Options {
			p := newPKI(t)
			o := p.serveTLS(t, private(t, p))
			o.Authorities = []*x509.Certificate{p.private.certificate}
			return o
		}, want: comes, names: []hf.Name{hf.PrivateAuthority}},
		"a private chain without the intermediate one, with the root told": {hook: func(t *testing.T) hf.Options {
			p := newPKI(t)
			below := issue(t, p.private, &x509.Certificate{IsCA: true, KeyUsage: x509.KeyUsageCertSign})
			o := p.serveTLS(t, served(issue(t, below, leaf())))
			o.Authorities = []*x509.Certificate{p.private.certificate}
			return o
		}, names: []hf.Name{hf.IncompleteChain}},
		"a port without TLS": {hook: func(t *testing.T) hf.Options {
			o := serve(t, answers(allow))
			o.Call.URL = "https://" + host + "/okta"
			o.Resolve[host+port("https")] = o.Resolve[host+port("http")]
			return o
		}, names: []hf.Name{hf.NotTLS}, says: []string{"plain HTTP"}},
		"a port of another protocol": {hook: func(t *testing.T) hf.Options {
			return speak(t, "https", func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-OpenSSH_9.9\r\n") })
		}, names: []hf.Name{hf.NotTLS}, says: []string{"something that is not TLS"}},
		"a server of TLS 1.1": of(func(t *testing.T, p *pki) *tls.Config {
			c := chain(func(*x509.Certificate) {})(t, p)
			c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
			return c
		}, failed, hf.TLSTooOld).saying("TLS 1.1 at most"),
		"a server without a certificate for the host": of(func(*testing.T, *pki) *tls.Config {
			return &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
				return nil, fmt.Errorf("no certificate")
			}}
		}, failed, hf.HandshakeFailed),
		"a server that wants a client certificate": of(func(t *testing.T, p *pki) *tls.Config {
			c := chain(func(*x509.Certificate) {})(t, p)
			c.ClientAuth = tls.RequireAnyClientCert
			return c
		}, failed, hf.ClientCertificateRequired),
		"a server of TLS 1.2 that wants a client certificate": of(func(t *testing.T, p *pki) *tls.Config {
			c := chain(func(*x509.Certificate) {})(t, p)
			c.ClientAuth, c.MaxVersion = tls.RequireAnyClientCert, tls.VersionTLS12
			return c
		}, failed, hf.ClientCertificateRequired),
		"a server that takes a client certificate, and does without": of(func(t *testing.T, p *pki) *tls.Config {
			c := chain(func(*x509.Certificate) {})(t, p)
			c.ClientAuth = tls.RequestClientCert
			return c
		}, comes),
	}
}

func statuses() map[string]scene {
	all := map[string]scene{
		"a redirect": served200(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://login.example.com/?state=s3cret", http.StatusFound)
		}, failed, hf.Redirect).saying("302 to the host login.example.com: "),
		"a wrong credential": served200(guarded(answers(allow)), failed, hf.Unauthorized).with(func(o *hf.Options) {
			o.Call.Credential = "aG9vazphLXNlY3JldC1vZi10aGUtdGVzdA=="
		}).saying(`in the header Authorization; the value has no scheme: many hooks require it to begin with "Basic "`),
		"a credential in another header": served200(guarded(answers(allow)), failed, hf.Unauthorized).with(func(o *hf.Options) {
			o.Call.Header = "x-hook-key"
		}).saying("in the header X-Hook-Key"),
		"a credential with white space, of a file with a line break": served200(guarded(answers(allow)), failed, hf.Unauthorized).
			with(func(o *hf.Options) { o.Call.Credential, o.LineBreakDropped = "Basic wrong ", true }).
			saying("ends with white space", "final line break was not sent"),
		"no credential": served200(guarded(answers(allow)), failed, hf.Unauthorized).with(func(o *hf.Options) {
			o.Call.Credential = ""
		}).saying("none was sent"),
		"a hook that nobody guards":                  served200(answers(allow), comes, hf.Unauthenticated).saying("200 without a credential"),
		"a hook that nobody guards, and that denies": served200(answers(deny), denied, hf.Unauthenticated),
		"a hook that takes any credential": served200(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			answers(allow)(w, r)
		}, comes, hf.Unauthenticated).saying("200 with a wrong credential"),
		"a hook that refuses wrong ones, and takes none": served200(func(w http.ResponseWriter, r *http.Request) {
			if v := r.Header.Get("Authorization"); v != "" && v != credential {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			answers(allow)(w, r)
		}, comes, hf.Unauthenticated).saying("200 without a credential"),
		"a hook that answers without being sent a credential": served200(answers(allow), comes, hf.Unauthenticated).
			with(func(o *hf.Options) { o.Call.Credential = "" }),
		"a hook that nobody guards, not probed": served200(answers(allow), comes).with(func(o *hf.Options) { o.NoProbe = true }),
	}
	for code, name := range map[int]hf.Name{
		400: hf.BadRequest, 403: hf.Forbidden, 404: hf.PathNotFound, 405: hf.MethodNotAllowed, 408: hf.RequestTimeout,
		413: hf.PayloadTooLarge, 415: hf.UnsupportedMediaType, 429: hf.TooManyRequests, 500: hf.ServerError, 502: hf.NoBackend,
		503: hf.NoBackend, 504: hf.NoBackend, 418: hf.UnexpectedStatus, 304: hf.Redirect,
	} {
		all[fmt.Sprintf("status %d", code)] = served200(status(code), failed, name).saying(fmt.Sprint(code))
	}
	all["status 202 with an answer"] = served200(guarded(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, allow)
	}), comes, hf.UnexpectedStatus)
	return all
}

func bodies() map[string]scene {
	commands := func(c string) string { return `{"commands":[` + c + `]}` }
	update := func(kind string) string {
		return `{"type":"com.okta.user.` + kind + `","value":{"userType":"Partner"}}`
	}
	return map[string]scene{
		"256 KB":                   answered(`{"x":"`+strings.Repeat("x", 256<<10)+`"}`, failed, hf.AnswerTooLarge),
		"an empty body":            answered("", failed, hf.EmptyBody),
		"a page":                   answered("<html></html>", failed, hf.NotJSON),
		"a list":                   answered("[]", failed, hf.NotJSON),
		"a member twice":           answered(`{"commands":[],"commands":[`+allowCommand+`]}`, comes, hf.DuplicateMember),
		"commands of another form": answered(`{"commands":{}}`, failed, hf.UnreadableCommands),
		"an empty object":          answered(`{}`, comes, hf.NoCommand),
		"com.action.update": answered(`{"commands":[{"type":"com.action.update","value":{"registration":"DENY"}}]}`, comes,
			hf.CommandName, hf.NoCommand),
		"a value of its own": answered(commands(`{"type":"com.okta.action.update","value":{"registration":"deny"}}`), comes,
			hf.RegistrationValue, hf.NoCommand),
		"two actions":            answered(commands(denyCommand+","+allowCommand), comes, hf.SecondAction),
		"an error on allow":      answered(`{"commands":[`+allowCommand+`],"error":`+failure+`}`, denied, hf.ErrorOnAllow),
		"an error of null":       answered(`{"commands":[`+allowCommand+`],"error":null}`, denied, hf.ErrorOnAllow, hf.ErrorForm),
		"an error alone":         answered(`{"error":`+failure+`}`, denied, hf.ErrorWithoutDeny),
		"Error":                  answered(`{"commands":[`+denyCommand+`],"Error":`+failure+`}`, denied, hf.MisspeltMember, hf.DenyWithoutError),
		"a member of its own":    answered(`{"commands":[`+allowCommand+`],"ok":true}`, comes, hf.UnknownMember),
		"DENY without an error":  answered(commands(denyCommand), denied, hf.DenyWithoutError),
		"an error without cause": answered(`{"commands":[`+denyCommand+`],"error":{"errorSummary":"No."}}`, denied, hf.ErrorForm),
		"a cause without a domain": answered(strings.Replace(deny, `,"domain":"end-user"`, "", 1), denied,
			hf.CauseForm).saying("domain is missing"),
		"a cause elsewhere": answered(strings.Replace(deny, "userProfile.", "userProfileUpdate.", 1), denied, hf.CauseElsewhere),
		"an update for a progressive profile in a sign-up": answered(commands(allowCommand+","+update("progressive.profile.update")),
			comes, hf.UpdateForOtherShape),
		"an update for a sign-up in a progressive profile": answered(commands(allowCommand+","+update("profile.update")),
			comes, hf.UpdateForOtherShape).of(oktasim.ProgressiveProfile),
		"an update of nothing": answered(commands(allowCommand+`,{"type":"com.okta.user.profile.update","value":{}}`), comes,
			hf.UpdateWithoutEffect),
		"an update beside DENY": answered(strings.Replace(deny, denyCommand, denyCommand+","+update("profile.update"), 1), denied,
			hf.UpdateBesideDeny),
		"a debugContext of text": answered(`{"commands":[`+allowCommand+`],"debugContext":"x"}`, comes, hf.DebugContextNoObject),
		"another content type": served200(guarded(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, allow)
		}), comes, hf.ContentType),
	}
}

func TestEveryFaultIsFoundAtARealServer(t *testing.T) {
	produced := map[hf.Name]bool{}
	for sentence, s := range scenes() {
		for _, name := range s.names {
			produced[name] = true
		}
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s.play(t)
		})
	}
	for _, d := range hf.Definitions() {
		if !produced[d.Name] {
			t.Errorf("nothing here produces %s", d.Name)
		}
	}
}

func (s scene) play(t *testing.T) {
	t.Helper()
	o := s.hook(t)
	r := oktasim.Registration{Shape: s.shape, Email: "jo@example.com"}
	if s.shape == oktasim.ProgressiveProfile {
		r = oktasim.Registration{Shape: s.shape, Update: map[string]any{"email": "jo@example.com"}}
	}
	call, err := r.Call()
	if err != nil {
		t.Fatal(err)
	}
	report, err := hf.Examine(t.Context(), o, call)
	if err != nil {
		t.Fatal(err)
	}
	var names []hf.Name
	text, isError := "", false
	for _, f := range report.Faults {
		names = append(names, f.Name)
		text += f.What + "\n"
		isError = isError || f.Level == hf.LevelError
		if f.What == "" || f.Fix == "" {
			t.Errorf("%s does not say what, or no fix", f.Name)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	want := slices.Sorted(slices.Values(s.names))
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("faults (-want +got):\n%s\n%s", diff, text)
	}
	if report.Result.Outcome != s.want || report.HasError() != isError {
		t.Errorf("outcome %s, want %s; error %v", report.Result.Outcome, s.want, isError)
	}
	for _, part := range s.says {
		if !strings.Contains(text, part) {
			t.Errorf("no fault says %q:\n%s", part, text)
		}
	}
	secret := strings.TrimPrefix(o.Call.Credential, "Basic ")
	if secret != "" && strings.Contains(text, secret) || strings.Contains(text, "s3cret") {
		t.Errorf("a fault holds a secret:\n%s", text)
	}
	if report.Result.Outcome == failed && !report.HasError() {
		t.Error("a call that failed has no fault of level error")
	}
}

func TestDefinitionsAreOneOfEachName(t *testing.T) {
	seen := map[hf.Name]bool{}
	for _, d := range hf.Definitions() {
		if seen[d.Name] || d.Meaning == "" || d.Fix == "" || d.Level != hf.LevelError && d.Level != hf.LevelWarning {
			t.Errorf("%s is there twice, or is not wholly said", d.Name)
		}
		seen[d.Name] = true
	}
}
