// Package programs has what the measured programs share: how they listen.
package programs

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// Serve serves a handler on a free port of the loopback interface, over TLS if the flags -cert and -key are given. It
// writes "listening HOST:PORT" to standard error.
func Serve(handler http.Handler) error {
	cert := flag.String("cert", "", "PEM file of the certificate; default: no TLS")
	key := flag.String("key", "", "PEM file of its key")
	flag.Parse()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "listening", listener.Addr())
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	if *cert != "" {
		err = server.ServeTLS(listener, *cert, *key)
	} else {
		err = server.Serve(listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
