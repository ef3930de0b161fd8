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

// sideTimeout is the read and write timeout of the probe and metrics servers; kubelet and Prometheus wait 1 to 10 s.
const sideTimeout = 10 * time.Second

const (
	// startupWait is how long /startupz waits for readiness. It is less than sideTimeout and the 10 s that the kubelet
	// waits for the startup probe: otherwise the probe would fail.
	startupWait = 8 * time.Second
	// startupCheckInterval is the time between two checks for readiness by /startupz.
	startupCheckInterval = 50 * time.Millisecond
)

// newProbeServer serves the probes of the kubelet: /healthz answers 200 while the process runs, /readyz while the
// replica should get calls, and /startupz once the kubelet should start the other two probes.
func newProbeServer(ready *readiness, logger logr.Logger) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /startupz", ready.serveStartup)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", ready.serveStatus)
	return newSideServer(mux, logger)
}

// newMetricsServer serves /metrics for Prometheus, and /readyz with details for people.
func newMetricsServer(gatherer prometheus.Gatherer, ready *readiness, logger logr.Logger) *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /readyz", ready.serveDetails)
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
