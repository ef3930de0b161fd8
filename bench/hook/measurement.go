package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"time"
)

// measurement is one run of the program.
type measurement struct {
	connections int
	rounds      int
	turn        time.Duration
	program     bool // measure the operator's program in place of a hook server in this process
}

// run measures every case and writes its result.
func (m measurement) run(ctx context.Context, out io.Writer) error {
	var hookAddress string
	if m.program {
		p, err := startProgram(ctx)
		if err != nil {
			return err
		}
		defer p.stop()
		hookAddress = p.address
	} else {
		hook, err := newHookServer()
		if err != nil {
			return err
		}
		if hookAddress, err = listenAndServe(func(l net.Listener) error { return hook.Serve(l, nil) }); err != nil {
			return err
		}
		defer hook.Shutdown(ctx)
	}
	fmt.Fprintf(out, "%d connections, %d rounds of %s for each server and case; medians, in brackets least and most\n",
		m.connections, m.rounds, m.turn)
	for _, c := range cases() {
		if err := m.measure(ctx, out, hookAddress, c); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

// measure measures the bare handler and the hook server in turns with one call.
func (m measurement) measure(ctx context.Context, out io.Writer, hookAddress string, c callCase) error {
	body, answerBytes, err := c.check(ctx, hookAddress)
	if err != nil {
		return err
	}
	bare := &http.Server{Handler: bareHandler(answerBytes), ReadHeaderTimeout: grace}
	bareAddress, err := listenAndServe(bare.Serve)
	if err != nil {
		return err
	}
	defer bare.Close()

	l := load{AnswerBytes: answerBytes, Connections: m.connections, Turn: m.turn}
	turn := func(address string) (samples, error) {
		l.Address, l.Request = address, wireRequest(address, body)
		return l.generateApart(ctx)
	}
	for _, address := range []string{bareAddress, hookAddress} { // warm up
		if _, err := turn(address); err != nil {
			return err
		}
	}
	var throughput, p50, p99, bareCalls, hookCalls []float64
	for round := range m.rounds {
		addresses := []string{bareAddress, hookAddress}
		if round%2 == 1 { // alternate the order
			slices.Reverse(addresses)
		}
		got := map[string]samples{}
		for _, address := range addresses {
			if got[address], err = turn(address); err != nil {
				return err
			}
		}
		bare, hook := got[bareAddress], got[hookAddress]
		throughput = append(throughput, hook.throughput()/bare.throughput())
		p50 = append(p50, float64(hook.P50)/float64(bare.P50))
		p99 = append(p99, float64(hook.P99)/float64(bare.P99))
		bareCalls = append(bareCalls, bare.throughput())
		hookCalls = append(hookCalls, hook.throughput())
	}
	fmt.Fprintf(out, "%-12s throughput %s, p50 %s, p99 %s of the bare handler's\n",
		c.name, spread(throughput), spread(p50), spread(p99))
	fmt.Fprintf(out, "%-12s (%.0f and %.0f calls/s, answers of %d bytes)\n",
		"", median(hookCalls), median(bareCalls), answerBytes)
	return nil
}

// generateApart runs generate in a second process.
func (l load) generateApart(ctx context.Context) (samples, error) {
	program, err := os.Executable()
	if err != nil {
		return samples{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, l.Turn+2*grace)
	defer cancel()
	in, err := json.Marshal(l)
	if err != nil {
		return samples{}, err
	}
	var out bytes.Buffer
	command := exec.CommandContext(ctx, program, "-load")
	command.Stdin, command.Stdout, command.Stderr = bytes.NewReader(in), &out, os.Stderr
	if err := command.Run(); err != nil {
		return samples{}, fmt.Errorf("the load: %w", err)
	}
	var s samples
	return s, json.Unmarshal(out.Bytes(), &s)
}

// listenAndServe serves on a free loopback port until the server is closed.
func listenAndServe(serve func(net.Listener) error) (address string, _ error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go func() {
		if err := serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintln(os.Stderr, "hook:", err)
		}
	}()
	return listener.Addr().String(), nil
}

// bareHandler returns a handler that reads the body and writes size bytes.
func bareHandler(size int) http.Handler {
	answer, length := bytes.Repeat([]byte("."), size), strconv.Itoa(size)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", length)
		w.Write(answer)
	})
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func spread(ratios []float64) string {
	return fmt.Sprintf("%.2f [%.2f–%.2f]", median(ratios), slices.Min(ratios), slices.Max(ratios))
}
