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

// Server answers the hook's calls. It is made by [New].
type Server struct {
	options   Options
	inFlight  chan struct{} // one token for each call being decided
	metrics   *metrics
	refused   refusalLog // of callers with a credential
	strangers refusalLog // of those without
	http      *http.Server
	draining  atomic.Bool
}

// New returns a server that serves nothing yet. It fails if the options do, with an error that names each of them, or
// if its metrics are registered already.
func New(options Options) (*Server, error) {
	options = options.withDefaults()
	if err := options.validate(); err != nil {
		return nil, fmt.Errorf("hook server: %w", err)
	}
	s := &Server{options: options, inFlight: make(chan struct{}, options.MaxInFlight)}
	s.refused, s.strangers = newRefusalLog(options.Logger), newRefusalLog(options.Logger)
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
		ErrorLog:                     log.New(errorLog{newRefusalLog(options.Logger)}, "", 0),
		DisableGeneralOptionsHandler: true, // OPTIONS * is another path
	}
	return s, nil
}

// Handler returns the hook's handler, for another server than this one. Such a server needs timeouts of its own.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// Serve answers calls on the listener until Shutdown, and then returns nil. With a TLS configuration, which must have a
// certificate, it speaks HTTP/1.1 and HTTP/2 over TLS; without, plain HTTP/1.1. It may be called once.
func (s *Server) Serve(listener net.Listener, tlsConfig *tls.Config) error {
	listener = newConnections(listener, maxConnections, s.metrics.evicted.Inc)
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

// Drain has the server close each connection after its next answer, and go on otherwise. Callers come back on new
// connections, which lead elsewhere once this replica is unready; those they kept would lead here until Shutdown, which
// a call could then meet on its way.
func (s *Server) Drain() { s.draining.Store(true) }

// Shutdown takes no more calls, answers those in flight, and closes. If ctx ends first, it cuts them off and returns
// ctx's error. A Serve that begins later returns at once.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("hook server: calls were cut off: %w", err), s.http.Close())
	}
	return nil
}

// snapshot returns the rules in force, and nil if there are none yet.
func (s *Server) snapshot() *rules.Snapshot {
	snapshot, err := s.options.Store.Load()
	if err != nil {
		return nil
	}
	return snapshot
}
