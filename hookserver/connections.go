package hookserver

import (
	"container/list"
	"context"
	"net"
	"sync"
	"time"
)

// connections bounds how many connections of a listener are open at once. A limit that lets new callers wait would lock Okta out
// as soon as strangers hold it; here it is the stranger who came first that goes: the connection on which no call has shown a
// credential for longest, once it had strangerTime to do so. Only where all have shown one is a new connection refused.
type connections struct {
	net.Listener

	most    int
	evicted func() // is told of each connection that had to go

	mu        sync.Mutex
	open      int
	strangers list.List // of *connection, the oldest first
}

func newConnections(listener net.Listener, most int, evicted func()) *connections {
	return &connections{Listener: listener, most: most, evicted: evicted}
}

// Accept waits for the next connection.
func (c *connections) Accept() (net.Conn, error) {
	for {
		accepted, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		next := &connection{Conn: accepted, of: c, since: time.Now()}
		wait, ok := c.add(next)
		for ; wait > 0; wait, ok = c.add(next) {
			time.Sleep(wait) // the next ones wait with the kernel
		}
		if ok {
			return next, nil
		}
		c.evicted()
		_ = accepted.Close() // an error means that the caller has left already
	}
}

// add takes up a connection, and makes room for it. It reports whether there is any, or for how long to wait for it.
func (c *connections) add(next *connection) (wait time.Duration, ok bool) {
	c.mu.Lock()
	var oldest *connection
	if c.open >= c.most {
		element := c.strangers.Front()
		if element == nil {
			c.mu.Unlock()
			return 0, false
		}
		oldest, _ = element.Value.(*connection)
		if wait := strangerTime - time.Since(oldest.since); wait > 0 {
			c.mu.Unlock()
			return wait, false
		}
		c.remove(oldest)
	}
	c.open++
	next.counted = true
	next.element = c.strangers.PushBack(next)
	c.mu.Unlock()
	if oldest != nil {
		c.evicted()
		_ = oldest.Conn.Close()
	}
	return 0, true
}

// remove is called with mu locked. It may be called again.
func (c *connections) remove(gone *connection) {
	if gone.element != nil {
		c.strangers.Remove(gone.element)
		gone.element = nil
	}
	if gone.counted {
		gone.counted = false
		c.open--
	}
}

// connection is one of connections. Its fields are locked by those's mu.
type connection struct {
	net.Conn

	of      *connections
	since   time.Time
	counted bool
	element *list.Element // in strangers; nil once a call has shown a credential
}

// Close closes the connection, and makes room for another.
func (c *connection) Close() error {
	c.of.mu.Lock()
	c.of.remove(c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// CloseWrite ends what is sent, as net/http does before it closes: an answer is not lost in a reset.
func (c *connection) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// trusted notes that a call on the connection has shown a credential.
func (c *connection) trusted() {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if c.element != nil {
		c.of.strangers.Remove(c.element)
		c.element = nil
	}
}

// connectionKey is the key of a request's connection in its context.
type connectionKey struct{}

// withConnection is the ConnContext of the server.
func withConnection(ctx context.Context, conn net.Conn) context.Context {
	if wrapped, ok := conn.(interface{ NetConn() net.Conn }); ok { // of TLS
		conn = wrapped.NetConn()
	}
	if c, ok := conn.(*connection); ok {
		return context.WithValue(ctx, connectionKey{}, c)
	}
	return ctx
}

// trust notes that a request has shown a credential.
func trust(ctx context.Context) {
	if c, ok := ctx.Value(connectionKey{}).(*connection); ok {
		c.trusted()
	}
}
