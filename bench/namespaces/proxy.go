package main

import (
	"context"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"

	"k8s.io/client-go/rest"
)

// proxy is a reverse proxy between a replica and the API server. It counts the replica's requests, authenticates as the
// replica's user, and can end watches as an API server does after their timeout.
type proxy struct {
	client string
	counts *counts
	server *httptest.Server

	mu      sync.Mutex
	watches map[*watchBody]bool
}

// startProxy starts a proxy for a replica, with the config of its user.
func startProxy(client string, config *rest.Config, counts *counts) (*proxy, error) {
	target, err := url.Parse(config.Host)
	if err != nil {
		return nil, err
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, err
	}
	p := &proxy{client: client, counts: counts, watches: map[*watchBody]bool{}}
	reverse := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:      transport,
		FlushInterval:  -1,
		ModifyResponse: p.observeResponse,
		ErrorLog:       log.New(io.Discard, "", 0), // an ending replica aborts requests
	}
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := parseRequest(client, r)
		counts.add(asked)
		ctx, cancel := context.WithCancel(context.WithValue(r.Context(), requestKey{}, asked))
		defer cancel()
		reverse.ServeHTTP(w, r.WithContext(ctx))
	}))
	p.server.Config.ErrorLog = reverse.ErrorLog
	p.server.EnableHTTP2 = true
	p.server.StartTLS()
	return p, nil
}

type requestKey struct{}

// observeResponse counts refused requests, and tracks watches.
func (p *proxy) observeResponse(response *http.Response) error {
	asked, _ := response.Request.Context().Value(requestKey{}).(request)
	switch {
	case response.StatusCode >= http.StatusBadRequest:
		p.counts.refuse(asked, response.StatusCode)
	case asked.verb == "watch" || asked.verb == watchList:
		body := &watchBody{ReadCloser: response.Body, of: asked, closed: p.forget}
		response.Body = body
		p.mu.Lock()
		p.watches[body] = true
		p.mu.Unlock()
	}
	return nil
}

func (p *proxy) forget(body *watchBody) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.watches, body)
}

// endWatches ends the watches of a namespace, and returns their number.
func (p *proxy) endWatches(namespace string) int {
	p.mu.Lock()
	var ended []*watchBody
	for body := range p.watches {
		if body.of.namespace == namespace {
			ended = append(ended, body)
		}
	}
	p.mu.Unlock()
	for _, body := range ended {
		body.end()
	}
	return len(ended)
}

// address returns the host:port of the proxy.
func (p *proxy) address() string { return p.server.Listener.Addr().String() }

// authority returns the proxy's certificate as PEM.
func (p *proxy) authority() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw})
}

func (p *proxy) close() {
	p.server.CloseClientConnections()
	p.server.Close()
}

// watchBody is the body of a response to a watch.
type watchBody struct {
	io.ReadCloser

	of     request
	closed func(*watchBody)
	ended  atomic.Bool
}

// end ends the body with EOF, as the API server does.
func (b *watchBody) end() {
	b.ended.Store(true)
	_ = b.ReadCloser.Close()
}

func (b *watchBody) Read(into []byte) (int, error) {
	n, err := b.ReadCloser.Read(into)
	if err != nil && b.ended.Load() {
		err = io.EOF
	}
	return n, err
}

func (b *watchBody) Close() error {
	b.closed(b)
	return b.ReadCloser.Close()
}
