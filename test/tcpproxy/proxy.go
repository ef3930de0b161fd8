// Package tcpproxy stands between two programs under test, so that a test can cut the line, make it silent, or slow.
package tcpproxy

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"
)

const (
	// pieceBytes is how much is passed on at a time, and pieces how many may be on their way.
	pieceBytes = 32 << 10
	pieces     = 1024
)

// Proxy passes connections on, until it is cut: then every connection ends, and new ones are closed at once. Silenced, it keeps
// connections, takes up new ones, and passes nothing on. Slowed, it passes everything on later.
type Proxy struct {
	ctx      context.Context // the test's
	target   string
	listener net.Listener

	mu      sync.Mutex
	cut     bool
	latency time.Duration // each way
	loud    chan struct{} // closed unless the line is silent
	conns   map[net.Conn]bool
}

// Start returns a proxy before target, a host:port. It ends with the test.
func Start(t testing.TB, target string) *Proxy {
	t.Helper()
	p, err := New(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// New returns a proxy before target, a host:port, for a program that is no test. It ends by [Proxy.Close]; with ctx, it opens no
// more connections.
func New(ctx context.Context, target string) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{ctx: ctx, target: target, listener: listener, loud: make(chan struct{}), conns: map[net.Conn]bool{}}
	close(p.loud)
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
		caller, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.join(caller)
	}
}

func (p *Proxy) join(caller net.Conn) {
	defer func() { _ = caller.Close() }()
	server, err := (&net.Dialer{}).DialContext(p.ctx, "tcp", p.target)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	if !p.add(caller, server) {
		return
	}
	defer p.remove(caller, server)
	ended := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{caller, server}, {server, caller}} {
		go func() {
			p.pass(way[0], way[1])
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
func (p *Proxy) pass(to, from net.Conn) {
	onTheWay := make(chan delayed, pieces)
	go func() {
		defer close(onTheWay)
		piece := make([]byte, pieceBytes)
		for {
			n, err := from.Read(piece)
			if n > 0 {
				onTheWay <- delayed{append([]byte(nil), piece[:n]...), time.Now().Add(p.slowness())}
			}
			if err != nil {
				return
			}
		}
	}()
	for piece := range onTheWay {
		time.Sleep(time.Until(piece.due))
		<-p.speaking()
		if _, err := to.Write(piece.data); err != nil {
			break
		}
	}
	_ = from.Close() // ends the reading
	for range onTheWay {
	}
}

func (p *Proxy) slowness() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.latency
}

// speaking returns a channel that is closed unless the line is silent.
func (p *Proxy) speaking() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.loud
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

// Cut cuts all connections, and those to come. A silent line is cut too, and no longer silent.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	for conn := range p.conns {
		_ = conn.Close()
	}
	clear(p.conns)
	p.speak()
}

// Silence passes nothing on any more, of connections that are and of those to come: neither end hears that the other is away.
func (p *Proxy) Silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.speak()
	p.loud = make(chan struct{})
}

// Slow passes on what comes from now on that much later, each way. 0 ends that.
func (p *Proxy) Slow(latency time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latency = latency
}

// Restore lets new connections through again, and passes on what was held back in silence.
func (p *Proxy) Restore() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = false
	p.speak()
}

// speak is called with mu locked.
func (p *Proxy) speak() {
	select {
	case <-p.loud:
	default:
		close(p.loud)
	}
}
