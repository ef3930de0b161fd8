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

// proxy stands before the API server for one replica: it counts what the replica asks, asks it as the replica's user, and can
// end the replica's watches as an API server does when their time is over.
type proxy struct {
	client string
	counts *counts
	server *httptest.Server

	mu      sync.Mutex
	watches map[*watchBody]bool
}

// startProxy starts one for a client whose user config is of.
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
		ModifyResponse: p.answered,
		ErrorLog:       log.New(io.Discard, "", 0), // a replica that ends leaves requests behind
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

// answered notes what the API server answers.
func (p *proxy) answered(response *http.Response) error {
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

// endWatches ends the watches of a namespace, and returns how many.
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

// address returns the host:port, and authority the certificate that it shows, in PEM.
func (p *proxy) address() string { return p.server.Listener.Addr().String() }

func (p *proxy) authority() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw})
}

func (p *proxy) close() {
	p.server.CloseClientConnections()
	p.server.Close()
}

// watchBody is the body of an answer to a watch.
type watchBody struct {
	io.ReadCloser

	of     request
	closed func(*watchBody)
	ended  atomic.Bool
}

// end ends the body as if the API server had.
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
