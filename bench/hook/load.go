package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
)

// load is the job of the second process.
type load struct {
	Address     string        // host:port of the server
	Request     []byte        // a complete HTTP/1.1 request, sent repeatedly
	AnswerBytes int           // the expected length of every answer's body
	Connections int           // each sends its next request after the answer to the last one
	Turn        time.Duration // no request begins later
}

// samples is the result of a load.
type samples struct {
	Calls    int
	Seconds  float64
	P50, P99 time.Duration
}

func (s samples) throughput() float64 { return float64(s.Calls) / s.Seconds }

// generate reads a load, makes its calls and writes the samples, both as JSON. Any answer other than a 200 of the
// expected length is an error, so that a server that refuses calls does not look fast.
func generate(ctx context.Context, in io.Reader, out io.Writer) error {
	var l load
	if err := json.NewDecoder(in).Decode(&l); err != nil {
		return fmt.Errorf("read the load: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, l.Turn+grace)
	defer cancel()

	latencies := make([][]time.Duration, l.Connections)
	errs := make([]error, l.Connections)
	begin := time.Now()
	var group sync.WaitGroup
	for i := range l.Connections {
		group.Go(func() { latencies[i], errs[i] = l.call(ctx, begin.Add(l.Turn)) })
	}
	group.Wait()
	elapsed := time.Since(begin)
	if err := errors.Join(errs...); err != nil {
		return err
	}
	all := slices.Concat(latencies...)
	if len(all) == 0 {
		return errors.New("no call was made")
	}
	slices.Sort(all)
	return json.NewEncoder(out).Encode(samples{
		Calls: len(all), Seconds: elapsed.Seconds(), P50: all[len(all)/2], P99: all[len(all)*99/100],
	})
}

// call makes calls on one keep-alive connection until the end, and returns the latency of each.
func (l *load) call(ctx context.Context, end time.Time) ([]time.Duration, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp4", l.Address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()

	answers := bufio.NewReader(conn)
	var latencies []time.Duration
	for {
		begin := time.Now()
		if begin.After(end) {
			return latencies, nil
		}
		if _, err := conn.Write(l.Request); err != nil {
			return nil, err
		}
		if err := l.readAnswer(answers); err != nil {
			return nil, err
		}
		latencies = append(latencies, time.Since(begin))
	}
}

// readAnswer reads an answer without net/http's client, which costs more CPU than the measured servers and would hide
// the difference between them.
func (l *load) readAnswer(r *bufio.Reader) error {
	length := -1
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
			return fmt.Errorf("the answer is %q", line)
		}
		if len(line) == 0 {
			break
		}
		if value, found := bytes.CutPrefix(line, []byte("Content-Length: ")); found {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return err
			}
		}
	}
	if length != l.AnswerBytes {
		return fmt.Errorf("the answer has %d bytes, want %d", length, l.AnswerBytes)
	}
	_, err := r.Discard(length)
	return err
}
