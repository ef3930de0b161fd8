// Command floor is what no server in Go can do without: net/http, with a handler that reads the body and writes as many
// bytes as the request's header X-Answer-Bytes says.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"

	"registrationpolicy.dev/operator/bench/programs"
)

func main() {
	if err := programs.Serve(http.HandlerFunc(answer)); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

// text is longer than any answer.
var text = bytes.Repeat([]byte("."), 8<<10)

func answer(w http.ResponseWriter, r *http.Request) {
	body := make([]byte, r.ContentLength)
	if _, err := io.ReadFull(r.Body, body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	length := r.Header.Get("X-Answer-Bytes")
	n, err := strconv.Atoi(length)
	if err != nil || n > len(text) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", length)
	_, _ = w.Write(text[:n]) // an error means that the caller has closed the connection
}
