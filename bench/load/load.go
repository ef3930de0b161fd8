// Package load makes calls to a server from a process of its own, which all measured servers share alike. It writes and
// reads HTTP/1.1 by hand, because net/http's client costs more than the servers and would hide the differences between
// them.
package load

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"time"
)

// grace is the time for the start and the end of a turn, beyond its length.
const grace = 10 * time.Second

// Job is the load of one turn.
type Job struct {
	// Address is host:port of the server.
	Address string
	// Authority is the PEM certificate that the server's certificate is verified with; empty: no TLS.
	Authority []byte
	// Calls are made in turn. Each connection begins at another one.
	Calls []Call
	// Connections each send their next call when they have the answer to the last one.
	Connections int
	// Turn is the time from the first call, when all connections are open. No call begins later.
	Turn time.Duration
}

// Call is a request with what is expected of its answer. Any other answer ends the turn with an error, so that a server
// that refuses calls does not look fast.
type Call struct {
	// Request is a whole HTTP/1.1 request.
	Request []byte
	// Status and Bytes are the answer's status and the length of its body.
	Status, Bytes int
}

// AnyLength is for Call.Bytes.
const AnyLength = -1

// Result has what was measured in a turn. Latencies are of calls that are answered 200.
type Result struct {
	// Calls are answered 200, Refused with another expected status.
	Calls, Refused int
	// Seconds is how long the turn took.
	Seconds float64
	// P50, P99 and P999 are quantiles of the latencies.
	P50, P99, P999 time.Duration
}

// Throughput returns the calls per second that were answered 200.
func (r Result) Throughput() float64 { return float64(r.Calls) / r.Seconds }

// Run runs the job in another process: a program whose main calls Serve.
func (j Job) Run(ctx context.Context, program string) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, j.Turn+2*grace)
	defer cancel()
	in, err := json.Marshal(j)
	if err != nil {
		return Result{}, err
	}
	var out bytes.Buffer
	command := exec.CommandContext(ctx, program)
	command.Stdin, command.Stdout, command.Stderr = bytes.NewReader(in), &out, os.Stderr
	if err := command.Run(); err != nil {
		return Result{}, fmt.Errorf("the load: %w", err)
	}
	var r Result
	return r, json.Unmarshal(out.Bytes(), &r)
}

// Serve reads a job, makes its calls and writes the result, both as JSON.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	var j Job
	if err := json.NewDecoder(in).Decode(&j); err != nil {
		return fmt.Errorf("read the job: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, j.Turn+grace)
	defer cancel()
	callers := make([]*caller, j.Connections)
	for i := range callers {
		callers[i] = &caller{job: &j, next: i * len(j.Calls) / j.Connections}
		if err := callers[i].dial(ctx); err != nil {
			return err
		}
		defer callers[i].close()
	}
	errs := make([]error, j.Connections)
	begin := time.Now()
	var group sync.WaitGroup
	for i, c := range callers {
		group.Go(func() { errs[i] = c.call(ctx, begin.Add(j.Turn)) })
	}
	group.Wait()
	r := Result{Seconds: time.Since(begin).Seconds()}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	var latencies []time.Duration
	for _, c := range callers {
		latencies = append(latencies, c.latencies...)
		r.Refused += c.refused
	}
	if len(latencies) == 0 {
		return errors.New("no call was answered 200")
	}
	slices.Sort(latencies)
	quantile := func(of int) time.Duration { return latencies[len(latencies)*of/1000] }
	r.Calls, r.P50, r.P99, r.P999 = len(latencies), quantile(500), quantile(990), quantile(999)
	return json.NewEncoder(out).Encode(r)
}

// caller makes calls, one after the other, on a connection that it keeps.
type caller struct {
	job       *Job
	conn      net.Conn
	answers   *bufio.Reader
	stop      func() bool
	next      int
	latencies []time.Duration
	refused   int
}

func (c *caller) dial(ctx context.Context) (err error) {
	if c.job.Authority == nil {
		c.conn, err = new(net.Dialer).DialContext(ctx, "tcp4", c.job.Address)
	} else {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(c.job.Authority)
		c.conn, err = (&tls.Dialer{Config: &tls.Config{RootCAs: roots}}).DialContext(ctx, "tcp4", c.job.Address)
	}
	if err != nil {
		return err
	}
	conn := c.conn
	c.stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
	c.answers = bufio.NewReader(conn)
	return nil
}

func (c *caller) close() {
	c.stop()
	_ = c.conn.Close() // all answers have been read
}

// call makes calls until the end.
func (c *caller) call(ctx context.Context, end time.Time) error {
	for {
		begin := time.Now()
		if begin.After(end) {
			return nil
		}
		call := &c.job.Calls[c.next%len(c.job.Calls)]
		c.next++
		if _, err := c.conn.Write(call.Request); err != nil {
			return err
		}
		status, length, closes, err := c.readAnswer()
		switch {
		case err != nil:
			return err
		case status != call.Status || call.Bytes != AnyLength && length != call.Bytes:
			return fmt.Errorf("the answer has status %d and %d bytes, want %d and %d", status, length, call.Status, call.Bytes)
		case status == 200:
			c.latencies = append(c.latencies, time.Since(begin))
		default:
			c.refused++
		}
		if closes {
			c.close()
			if err := c.dial(ctx); err != nil {
				return err
			}
		}
	}
}

// readAnswer reads an answer, and reports whether the server closes the connection after it.
func (c *caller) readAnswer() (status, length int, closes bool, err error) {
	line, err := c.answers.ReadSlice('\n')
	if err != nil {
		return 0, 0, false, err
	}
	const statusAt, statusEnd = len("HTTP/1.1 "), len("HTTP/1.1 200")
	if len(line) < statusEnd {
		return 0, 0, false, fmt.Errorf("the answer begins with %q", line)
	}
	if status, err = strconv.Atoi(string(line[statusAt:statusEnd])); err != nil {
		return 0, 0, false, err
	}
	for {
		if line, err = c.answers.ReadSlice('\n'); err != nil {
			return 0, 0, false, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch string(name) { // all measured servers write them like this
		case "Content-Length":
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, 0, false, err
			}
		case "Connection":
			closes = string(value) == "close"
		}
	}
	_, err = c.answers.Discard(length)
	return status, length, closes, err
}
