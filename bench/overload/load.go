package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"
)

// samples are the latencies of the calls of a turn.
type samples struct {
	answered, shed []time.Duration
	lost           int // calls without an answer: the server closes the connection if it is too late to answer
}

// load makes calls from concurrent callers until the turn ends. Any answer other than a 200 or a 503 with Retry-After
// is an error.
func load(ctx context.Context, address string, callers int, turn time.Duration) (samples, error) {
	ctx, cancel := context.WithTimeout(ctx, turn+grace)
	defer cancel()
	end := time.Now().Add(turn)
	each := make([]samples, callers)
	errs := make([]error, callers)
	var group sync.WaitGroup
	for i := range callers {
		group.Go(func() { errs[i] = each[i].call(ctx, address, end) })
	}
	group.Wait()
	var all samples
	for _, s := range each {
		all.answered, all.shed = append(all.answered, s.answered...), append(all.shed, s.shed...)
		all.lost += s.lost
	}
	return all, errors.Join(errs...)
}

const body = `{"eventType":"com.okta.user.pre-registration","source":"rul1bufGk5dJdRYw50g4","data":{"userProfile":{"login":"jo@acme.com","email":"jo@acme.com"}}}`

// call makes calls on one keep-alive connection until the end.
func (s *samples) call(ctx context.Context, address string, end time.Time) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp4", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	request := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nAuthorization: %s\r\n"+
		"Content-Length: %d\r\n\r\n%s", path, address, credential, len(body), body)
	answers := bufio.NewReader(conn)
	for {
		begin := time.Now()
		if begin.After(end) {
			return nil
		}
		if _, err := conn.Write(request); err != nil {
			return err
		}
		shed, closes, err := readAnswer(answers)
		took := time.Since(begin)
		switch {
		case ctx.Err() != nil || errors.Is(err, io.EOF):
			s.lost++
			closes = true
		case err != nil:
			return err
		case shed:
			s.shed = append(s.shed, took)
		default:
			s.answered = append(s.answered, took)
		}
		if closes { // the next call needs a new connection
			conn.Close()
			if ctx.Err() != nil {
				return nil
			}
			return s.call(ctx, address, end)
		}
	}
}

// readAnswer reads an answer without net/http's client, which costs more CPU than the server.
func readAnswer(r *bufio.Reader) (shed, closes bool, _ error) {
	length, hasRetryAfter := -1, false
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return false, false, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if first {
			shed = bytes.HasPrefix(line, []byte("HTTP/1.1 503 "))
			if !shed && !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
				return false, false, fmt.Errorf("the answer is %q", line)
			}
		}
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch string(name) {
		case "Content-Length":
			if length, err = strconv.Atoi(string(value)); err != nil {
				return false, false, err
			}
		case "Retry-After":
			hasRetryAfter = true
		case "Connection":
			closes = string(value) == "close"
		}
	}
	if shed && !hasRetryAfter {
		return false, false, errors.New("a 503 without Retry-After")
	}
	_, err := r.Discard(length)
	return shed, closes, err
}
