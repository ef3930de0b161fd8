package main

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// sideTimeout is the time for a call to the probe or metrics server, either way: kubelet and Prometheus wait 1 to 10 s.
const sideTimeout = 10 * time.Second

const (
	// startupWait is how long /startupz waits for readiness: less than sideTimeout, and than the timeout of the startup probe.
	startupWait = 8 * time.Second
	// startupCheck is how often it looks.
	startupCheck = 50 * time.Millisecond
)

// newProbeServer answers the kubelet: /healthz while the process runs, /readyz while it should get calls, /startupz as soon as one of
// the others is worth asking.
func newProbeServer(ready *readiness, logger logr.Logger) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /startupz", ready.started)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", ready.plain)
	return newSideServer(mux, logger)
}

// newMetricsServer answers Prometheus, and people who want to know why a replica is not ready.
func newMetricsServer(gatherer prometheus.Gatherer, ready *readiness, logger logr.Logger) *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /readyz", ready.detailed)
	return newSideServer(mux, logger)
}

func newSideServer(handler http.Handler, logger logr.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: sideTimeout,
		ReadTimeout:       sideTimeout,
		WriteTimeout:      sideTimeout,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(logr.ToSlogHandler(logger), slog.LevelWarn),
	}
}

func serveSide(server *http.Server, listener net.Listener) error {
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
