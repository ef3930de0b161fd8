package hookserver

import (
	"container/list"
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// connections bounds how many connections of a listener are open at once. A limit that lets new callers wait would lock Okta out
// as soon as strangers hold it; here it is the stranger who came first that goes: the connection on which no call has shown a
// credential for longest, once it had strangerTime to do so. Those on which nothing was said go before the others: a caller says at
// once what it has to, and must not go because this server is slow to listen. Only where all have shown a credential is a new
// connection refused.
type connections struct {
	net.Listener

	most    int
	evicted func() // is told of each connection that had to go

	mu             sync.Mutex
	open           int
	silent, spoken list.List // of *connection, strangers all, the oldest first
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
	var leaving *connection
	if c.open >= c.most {
		if leaving, wait = c.first(); leaving == nil {
			c.mu.Unlock()
			return wait, false
		}
		c.remove(leaving)
	}
	c.open++
	next.counted = true
	next.enter(&c.silent)
	c.mu.Unlock()
	if leaving != nil {
		c.evicted()
		_ = leaving.Conn.Close()
	}
	return 0, true
}

// first returns the stranger that goes first. If there is none, wait says when there may be; 0 means never. It is called with mu
// locked.
func (c *connections) first() (_ *connection, wait time.Duration) {
	for _, strangers := range []*list.List{&c.silent, &c.spoken} {
		for element := strangers.Front(); element != nil; element = strangers.Front() {
			oldest, _ := element.Value.(*connection)
			if strangers == &c.silent && hasUnread(oldest.Conn) {
				oldest.enter(&c.spoken)
				continue
			}
			left := strangerTime - time.Since(oldest.since)
			if left <= 0 {
				return oldest, 0
			}
			if wait == 0 || left < wait {
				wait = left
			}
			break
		}
	}
	return nil, wait
}

// remove is called with mu locked. It may be called again.
func (c *connections) remove(gone *connection) {
	gone.enter(nil)
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
	within  *list.List // silent or spoken; nil once a call has shown a credential
	element *list.Element
	heard   atomic.Bool // something was read
}

// enter takes the connection out of the list that it is within, and adds it to another, if any. It is called with mu locked.
func (c *connection) enter(strangers *list.List) {
	if c.within != nil {
		c.within.Remove(c.element)
	}
	c.within, c.element = strangers, nil
	if strangers != nil {
		c.element = strangers.PushBack(c)
	}
}

// Read reads, and notes that something was said.
func (c *connection) Read(into []byte) (int, error) {
	n, err := c.Conn.Read(into)
	if n > 0 && !c.heard.Swap(true) {
		c.of.mu.Lock()
		if c.within == &c.of.silent {
			c.enter(&c.of.spoken)
		}
		c.of.mu.Unlock()
	}
	return n, err
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
	c.enter(nil)
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
