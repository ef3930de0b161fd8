package listsource

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	// secret is in every part of a URL that may contain a secret. No error may contain it.
	secret = "hunter2"
	text   = "mailinator.example\nyopmail.example\n"
)

// source is a server of lists, over HTTPS.
type source struct {
	*httptest.Server
	authorities []*x509.Certificate
	seen        []*http.Request
}

func startSource(t *testing.T, answer http.HandlerFunc) *source {
	t.Helper()
	s := &source{}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.seen = append(s.seen, r)
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	s.authorities = []*x509.Certificate{s.Certificate()}
	return s
}

// withSecrets returns a URL of the source with a user and a query.
func (s *source) withSecrets(path string) string {
	return strings.Replace(s.URL, "https://", "https://jo:"+secret+"@", 1) + path + "?key=" + secret
}

func fetcher(s *source) *Fetcher {
	f := &Fetcher{Stdin: strings.NewReader(text), MaxBytes: 1 << 10, Timeout: time.Minute}
	if s != nil {
		f.Authorities = s.authorities
	}
	return f
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "list.txt")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAListIsReadFromEverySource(t *testing.T) {
	s := startSource(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) })
	for sentence, from := range map[string]string{
		"a file": write(t, text), "standard input": Stdin, "a URL": s.URL + "/list.txt", "a URL with a user and a query": s.withSecrets("/"),
	} {
		t.Run(sentence, func(t *testing.T) {
			if got, err := fetcher(s).Fetch(t.Context(), from); err != nil || string(got) != text {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestWhatIsNoSourceIsRefusedBeforeAnythingIsRead(t *testing.T) {
	for from, want := range map[string]string{
		"http://jo:" + secret + "@lists.example.com/?key=" + secret: "give an https URL",
		"ftp://lists.example.com/" + secret:                         "give an https URL",
		"https:///" + secret:                                        "the URL has no host",
		"https://a^b/" + secret:                                     "the URL is invalid: its host",
		"https://lists.example.com/%zz?key=" + secret:               "write % itself as %25",
		"https://lists.example.com:port/" + secret:                  "the URL is invalid: check its port",
		"https://lists.example.com/a b?key=" + secret:               "write a space as %20",
		"a b":                              `there is no such file: "a b": give a file, a URL that begins with https://, or - for standard input`,
		"lists.example.com/a.txt":          "give a file, a URL that begins with https://",
		filepath.Join(t.TempDir(), "away"): "no such file",
		t.TempDir():                        "is a directory",
	} {
		_, err := fetcher(nil).Fetch(t.Context(), from)
		if !errors.Is(err, ErrInvalid) || isURL(from) != (Check(from) != nil) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: got %v, want %q", from, err, want)
		}
	}
}

func TestASourceThatMisbehavesIsAFaultThatNamesNoSecret(t *testing.T) {
	elsewhere := startSource(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) })
	for sentence, test := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"another status":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, "answers with status 404: check the path of the URL"},
		"no content at all": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, "answers with status 204"},
		"more than the limit, announced": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, strings.Repeat(text, 100))
		}, "larger than 1024 bytes"},
		"more than the limit, not announced": {func(w http.ResponseWriter, _ *http.Request) {
			for range 100 {
				fmt.Fprint(w, text)
				_ = http.NewResponseController(w).Flush()
			}
		}, "larger than 1024 bytes"},
		"compressed all the same": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			fmt.Fprint(w, text)
		}, "sends a compressed answer, though none was asked for: give a URL of plain text"},
		"ends in the middle": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, text)
		}, "closed the connection before the end of the answer: run this again"},
		"redirects to http": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://lists.example.com/?key="+secret, http.StatusFound)
		}, "redirects to a URL that is not https"},
		"redirects for ever": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/again?key="+secret, http.StatusFound)
		}, "redirects more than 5 times"},
		"redirects to what is no URL": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://%zz/"+secret)
			w.WriteHeader(http.StatusFound)
		}, `sends an answer that cannot be read (failed to parse Location header "…"`},
	} {
		t.Run(sentence, func(t *testing.T) {
			s := startSource(t, test.answer)
			got, err := fetcher(s).Fetch(t.Context(), s.withSecrets("/list.txt"))
			if err == nil || got != nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), secret) || errors.Is(err, ErrInvalid) {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
	t.Run("is not believed", func(t *testing.T) {
		_, err := fetcher(nil).Fetch(t.Context(), elsewhere.withSecrets("/"))
		if err == nil || !strings.Contains(err.Error(), "which this machine does not trust: if it is right, give its CA with --ca-file") || strings.Contains(err.Error(), secret) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("speaks no TLS", func(t *testing.T) {
		plain := httptest.NewServer(http.NotFoundHandler())
		t.Cleanup(plain.Close)
		_, err := fetcher(nil).Fetch(t.Context(), strings.Replace(plain.URL, "http:", "https:", 1)+"/?key="+secret)
		if err == nil || !strings.Contains(err.Error(), "does not speak TLS on this port: check the host and the port of the URL") || strings.Contains(err.Error(), secret) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("redirects to a host that was not allowed", func(t *testing.T) {
		other := startSource(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) })
		first := startSource(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+"/list?key="+secret, http.StatusFound)
		})
		f := fetcher(first)
		f.Authorities = append(f.Authorities, other.authorities...)
		_, err := f.Fetch(t.Context(), first.withSecrets("/list"))
		if err == nil || !strings.Contains(err.Error(), "--redirect-host") || strings.Contains(err.Error(), secret) || len(other.seen) > 0 {
			t.Errorf("%v, %d requests to the other host", err, len(other.seen))
		}
	})
	t.Run("redirects to another host, which is not told the query", func(t *testing.T) {
		s := startSource(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+"/list.txt", http.StatusFound)
		})
		f := fetcher(s)
		f.Authorities = append(f.Authorities, elsewhere.authorities...)
		f.RedirectHosts = []string{strings.TrimPrefix(elsewhere.URL, "https://")}
		elsewhere.seen = nil
		got, err := f.Fetch(t.Context(), s.withSecrets("/"))
		if err != nil || string(got) != text {
			t.Fatalf("got %q, %v", got, err)
		}
		if referer := elsewhere.seen[0].Header.Get("Referer"); referer != "" {
			t.Errorf("the other host is told %q", referer)
		}
	})
}

func TestASourceHasATimeLimit(t *testing.T) {
	s := startSource(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	pipe, open, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close() // not before: the collector would close it, and end what is read
	for _, from := range []string{s.withSecrets("/"), Stdin} {
		f := fetcher(s)
		f.Stdin, f.Timeout = pipe, 50*time.Millisecond
		if _, err := f.Fetch(t.Context(), from); err == nil || !strings.Contains(err.Error(), "took longer than 50ms") {
			t.Errorf("got %v", err)
		}
	}
}

func TestAFileHasASizeLimit(t *testing.T) {
	f := fetcher(nil)
	f.MaxBytes = int64(len(text)) - 1
	for _, from := range []string{write(t, text), Stdin} {
		if _, err := f.Fetch(t.Context(), from); err == nil || !strings.Contains(err.Error(), "larger than") {
			t.Errorf("%s: got %v", from, err)
		}
	}
	f = fetcher(nil)
	f.MaxBytes = int64(len(text))
	if _, err := f.Fetch(t.Context(), Stdin); err != nil {
		t.Errorf("just within the limit: %v", err)
	}
}

func TestAnEmptySourceIsRefused(t *testing.T) {
	if err := Check(""); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "it is empty: give a file") {
		t.Error(err)
	}
}

func TestAURLIsShownWithoutUserAndQuery(t *testing.T) {
	for source, want := range map[string]string{
		"https://jo:" + secret + "@lists.example.com/a/b?key=" + secret + "#" + secret: "https://lists.example.com/a/b",
		"lists/a.txt": "lists/a.txt", "-": "standard input", "https://%zz/" + secret: "",
	} {
		if got := Display(source); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestAReadingStaysInTheClassOfNetworkThatItBeganIn(t *testing.T) {
	for address, refused := range map[string]bool{
		"127.0.0.1:443": true, "[::1]:443": true, "[::ffff:127.0.0.1]:443": true, "10.1.2.3:443": true, "[fd00::1]:443": true,
		"169.254.169.254:443": true, "0.0.0.0:443": true, "203.0.113.9:443": false, "[2001:db8::1]:443": false,
	} {
		n := &networkClassCheck{}
		if err := n.check("tcp", "198.51.100.1:443", nil); err != nil {
			t.Fatal(err)
		}
		if err := n.check("tcp", address, nil); (err != nil) != refused {
			t.Errorf("from a public address to %s: %v", address, err)
		}
		told := &networkClassCheck{allowChange: true, first: "public"}
		if err := told.check("tcp", address, nil); err != nil {
			t.Errorf("to %s, as allowChange: %v", address, err)
		}
	}
}
