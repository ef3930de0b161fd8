package listsource

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestAProxyThatRefusesIsNamed(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	t.Cleanup(proxy.Close)
	at, err := url.Parse(strings.Replace(proxy.URL, "http://", "http://jo:"+secret+"@", 1))
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{Proxy: http.ProxyURL(at), OnProxyConnectResponse: checkProxyAnswer}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://lists.example.com/?key="+secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err == nil {
		_ = response.Body.Close()
		t.Fatal("the proxy let it pass")
	}
	want := "the proxy " + at.Host + " (HTTPS_PROXY) answers with status 403 to a connection to lists.example.com:443: "
	if got := fetchError("lists.example.com", err); !strings.HasPrefix(got.Error(), want) || strings.Contains(got.Error(), secret) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAChangeOfNetworkIsASentence(t *testing.T) {
	got := fetchError("other.example", &url.Error{
		Op: "Get", URL: "https://lists.example.com/?key=" + secret, Err: &net.OpError{Op: "dial", Net: "tcp", Err: errNetworkClass},
	})
	if want := "lists.example.com leads to another class of network"; !strings.HasPrefix(got.Error(), want) || strings.Contains(got.Error(), secret) {
		t.Errorf("got %q, want %q", got, want)
	}
}
