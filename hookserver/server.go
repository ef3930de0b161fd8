package hookserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync/atomic"

	"registrationpolicy.dev/operator/rules"
)

// Server answers the hook's calls. [New] makes it.
type Server struct {
	options           Options
	inFlight          chan struct{} // one element for each call being decided
	metrics           *metrics
	refusalLog        limitedLog // refused calls with an accepted credential
	authenticationLog limitedLog // failed authentications; separate, so that they cannot suppress lines of refusalLog
	http              *http.Server
	draining          atomic.Bool
}

// New returns a server that serves nothing yet. It fails if options are invalid, with an error that names each, or if
// the metrics are already registered.
func New(options Options) (*Server, error) {
	options = options.withDefaults()
	if err := options.validate(); err != nil {
		return nil, fmt.Errorf("hook server: %w", err)
	}
	s := &Server{options: options, inFlight: make(chan struct{}, options.MaxInFlight)}
	s.refusalLog, s.authenticationLog = newLimitedLog(options.Logger), newLimitedLog(options.Logger)
	s.metrics = newMetrics(s)
	if err := s.metrics.register(options.Registerer); err != nil {
		return nil, fmt.Errorf("hook server: %w", err)
	}
	s.http = &http.Server{
		Handler:                      s.Handler(),
		ReadHeaderTimeout:            readHeaderTimeout,
		ReadTimeout:                  readTimeout,
		WriteTimeout:                 writeTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeaderBytes,
		HTTP2:                        &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ConnContext:                  withConnection,
		ErrorLog:                     log.New(errorLog{newLimitedLog(options.Logger)}, "", 0),
		DisableGeneralOptionsHandler: true, // OPTIONS * is answered 404 as any other path
	}
	return s, nil
}

// Handler returns the hook's handler for use in another HTTP server, which must set its own timeouts.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// Serve answers calls on the listener until Shutdown, and then returns nil. With a TLS configuration, which must have a
// certificate, it serves HTTP/1.1 and HTTP/2 over TLS; with nil, plain HTTP/1.1. It may be called once.
func (s *Server) Serve(listener net.Listener, tlsConfig *tls.Config) error {
	listener = newLimitedListener(listener, maxConnections, s.metrics.evicted.Inc)
	var err error
	if tlsConfig != nil {
		s.http.TLSConfig = tlsConfig.Clone()
		err = s.http.ServeTLS(listener, "", "")
	} else {
		err = s.http.Serve(listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("hook server: %w", err)
}

// Drain makes the server close each connection after its next answer; it continues to serve. Callers then reconnect, to
// other replicas once this one is unready. Without Drain they would use their connections until Shutdown closes them,
// perhaps while a call is on its way.
func (s *Server) Drain() { s.draining.Store(true) }

// Shutdown stops accepting calls, answers those in flight, and closes the server. If ctx ends first, it closes their
// connections and returns ctx's error. A later Serve returns at once.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("hook server: calls were cut off: %w", err), s.http.Close())
	}
	return nil
}

// snapshot returns the rules in force; nil if there are none yet.
func (s *Server) snapshot() *rules.Snapshot {
	snapshot, err := s.options.Store.Load()
	if err != nil {
		return nil
	}
	return snapshot
}
