package main

import (
	"context"
	"net"
	"time"
)

const (
	// pieceBytes is how much a line passes on at a time, and pieces how many may be on their way.
	pieceBytes = 64 << 10
	pieces     = 1024
)

// line is a way to a server on which everything takes a while.
type line struct {
	listener net.Listener
	target   string        // host:port
	latency  time.Duration // each way
}

// newLine returns a line to target. It ends by close.
func newLine(target string, latency time.Duration) (*line, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &line{listener: listener, target: target, latency: latency}
	go l.serve()
	return l, nil
}

func (l *line) address() string { return l.listener.Addr().String() }

// close takes no further connections. Those that are end with either end.
func (l *line) close() { _ = l.listener.Close() }

func (l *line) serve() {
	for {
		caller, err := l.listener.Accept()
		if err != nil {
			return
		}
		go l.join(caller)
	}
}

func (l *line) join(caller net.Conn) {
	defer caller.Close()
	server, err := (&net.Dialer{}).DialContext(context.Background(), "tcp4", l.target)
	if err != nil {
		return
	}
	defer server.Close()
	ended := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{caller, server}, {server, caller}} {
		go func() {
			l.pass(way[0], way[1])
			ended <- struct{}{}
		}()
	}
	<-ended
}

// delayed is what came by a connection, and when it is due at the other end.
type delayed struct {
	data []byte
	due  time.Time
}

// pass passes on what comes from a connection until either ends.
func (l *line) pass(to, from net.Conn) {
	onTheWay := make(chan delayed, pieces)
	go func() {
		defer close(onTheWay)
		for {
			piece := make([]byte, pieceBytes)
			n, err := from.Read(piece)
			if n > 0 {
				onTheWay <- delayed{piece[:n], time.Now().Add(l.latency)}
			}
			if err != nil {
				return
			}
		}
	}()
	for piece := range onTheWay {
		time.Sleep(time.Until(piece.due))
		if _, err := to.Write(piece.data); err != nil {
			break
		}
	}
	_ = from.Close() // ends the reading
	for range onTheWay {
	}
}
