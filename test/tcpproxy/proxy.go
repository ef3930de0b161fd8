// Package tcpproxy is a TCP proxy between two programs under test. It can cut, silence or slow down their connections.
package tcpproxy

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"
)

const (
	// chunkBytes is the maximum size of a chunk. maxQueued is the maximum number of chunks in transit per connection
	// and direction.
	chunkBytes = 32 << 10
	maxQueued  = 1024
)

// Proxy forwards connections to a target. Cut closes all connections and rejects new ones. Silence keeps connections
// and accepts new ones, but forwards nothing. Slow delays everything.
type Proxy struct {
	ctx      context.Context // for connections to the target
	target   string
	listener net.Listener

	mu        sync.Mutex
	cut       bool
	latency   time.Duration // in each direction
	unsilence chan struct{} // closed unless the proxy is silenced
	conns     map[net.Conn]bool
}

// Start returns a proxy to target, a host:port. It ends with the test.
func Start(t testing.TB, target string) *Proxy {
	t.Helper()
	p, err := New(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// New returns a proxy to target, a host:port, for a program that is not a test. The caller must call [Proxy.Close].
// After the end of ctx it opens no connections.
func New(ctx context.Context, target string) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{ctx: ctx, target: target, listener: listener, unsilence: make(chan struct{}), conns: map[net.Conn]bool{}}
	close(p.unsilence)
	go p.serve()
	return p, nil
}

// Close ends the proxy and all its connections.
func (p *Proxy) Close() {
	_ = p.listener.Close()
	p.Cut()
}

// Addr returns the host:port of the proxy.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

func (p *Proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.forward(client)
	}
}

// forward connects a client to the target, until either closes the connection.
func (p *Proxy) forward(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := (&net.Dialer{}).DialContext(p.ctx, "tcp", p.target)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	if !p.add(client, server) {
		return
	}
	defer p.remove(client, server)
	ended := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
		go func() {
			p.copy(pair[0], pair[1])
			ended <- struct{}{}
		}()
	}
	<-ended
}

// chunk is data in transit, with the time at which to deliver it.
type chunk struct {
	data []byte
	due  time.Time
}

// copy copies data from one connection to another, with the latency and the silences of the proxy, until either ends.
func (p *Proxy) copy(to, from net.Conn) {
	inTransit := make(chan chunk, maxQueued)
	go func() {
		defer close(inTransit)
		buf := make([]byte, chunkBytes)
		for {
			n, err := from.Read(buf)
			if n > 0 {
				inTransit <- chunk{append([]byte(nil), buf[:n]...), time.Now().Add(p.currentLatency())}
			}
			if err != nil {
				return
			}
		}
	}()
	for c := range inTransit {
		time.Sleep(time.Until(c.due))
		<-p.unsilenced()
		if _, err := to.Write(c.data); err != nil {
			break
		}
	}
	_ = from.Close() // ends the goroutine that reads from it
	for range inTransit {
	}
}

func (p *Proxy) currentLatency() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.latency
}

// unsilenced returns a channel that is closed unless the proxy is silenced.
func (p *Proxy) unsilenced() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.unsilence
}

func (p *Proxy) add(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut {
		return false
	}
	for _, conn := range conns {
		p.conns[conn] = true
	}
	return true
}

func (p *Proxy) remove(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		delete(p.conns, conn)
	}
}

// Cut closes all connections. Until [Proxy.Restore], it closes new ones at once. It also ends a silence.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	for conn := range p.conns {
		_ = conn.Close()
	}
	clear(p.conns)
	p.endSilence()
}

// Silence holds back all data of existing and new connections until [Proxy.Restore]. The connections stay open, so that
// neither end notices that it cannot reach the other.
func (p *Proxy) Silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endSilence()
	p.unsilence = make(chan struct{})
}

// Slow delays new data by a latency in each direction. 0 ends the delay.
func (p *Proxy) Slow(latency time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latency = latency
}

// Restore ends Cut and Silence. It delivers the data that a silence held back.
func (p *Proxy) Restore() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = false
	p.endSilence()
}

// endSilence lets data flow again. It must be called with mu locked.
func (p *Proxy) endSilence() {
	select {
	case <-p.unsilence:
	default:
		close(p.unsilence)
	}
}
