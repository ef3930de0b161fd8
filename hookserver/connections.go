package hookserver

import (
	"container/list"
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// limitedListener limits how many connections are open at once. At the limit it closes the oldest unauthenticated
// connection to accept a new one: if new callers had to wait instead, unauthenticated ones could lock Okta out. It
// refuses a new connection only if all are authenticated.
//
// A connection is unauthenticated until a call on it has shown an accepted credential. At the limit it may be closed
// only after authenticationGrace, or after twice that if its caller has sent anything: the credential may have arrived
// already, and this server may only be slow to read it.
type limitedListener struct {
	net.Listener

	limit   int
	evicted func() // called for each connection that is closed or refused because of the limit

	mu   sync.Mutex
	open int
	// unread and read have the unauthenticated connections (*connection), the oldest first. Those in read have sent
	// something.
	unread, read list.List
}

func newLimitedListener(listener net.Listener, limit int, evicted func()) *limitedListener {
	return &limitedListener{Listener: listener, limit: limit, evicted: evicted}
}

// Accept waits for the next connection.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		accepted, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		next := &connection{Conn: accepted, listener: l, acceptedAt: time.Now()}
		next.reads.set, next.writes.set = accepted.SetReadDeadline, accepted.SetWriteDeadline
		wait, ok := l.add(next)
		for ; wait > 0; wait, ok = l.add(next) {
			time.Sleep(wait) // further connections wait in the kernel's backlog
		}
		if ok {
			return next, nil
		}
		l.evicted()
		_ = accepted.Close() // an error means that the caller has closed it already
	}
}

// add counts a new connection, and at the limit closes another for it. If none can be closed yet, ok is false, and wait
// is the time until one can be; 0 means that all are authenticated.
func (l *limitedListener) add(next *connection) (wait time.Duration, ok bool) {
	l.mu.Lock()
	var evict *connection
	if l.open >= l.limit {
		if evict, wait = l.evictable(); evict == nil {
			l.mu.Unlock()
			return wait, false
		}
		l.remove(evict)
	}
	l.open++
	next.counted = true
	next.moveTo(&l.unread)
	l.mu.Unlock()
	if evict != nil {
		l.evicted()
		_ = evict.Conn.Close()
	}
	return 0, true
}

// evictable returns the unauthenticated connection to close next. If there is none, wait is the time until one may be
// closed; 0 means that all are authenticated. The caller holds mu.
func (l *limitedListener) evictable() (_ *connection, wait time.Duration) {
	for i, unauthenticated := range []*list.List{&l.unread, &l.read} {
		grace := time.Duration(i+1) * authenticationGrace
		for element := unauthenticated.Front(); element != nil; element = unauthenticated.Front() {
			oldest, _ := element.Value.(*connection)
			if unauthenticated == &l.unread && hasUnread(oldest.Conn) {
				oldest.moveTo(&l.read)
				continue
			}
			left := grace - time.Since(oldest.acceptedAt)
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

// remove stops counting a connection. Further calls for the same connection have no effect. The caller holds mu.
func (l *limitedListener) remove(c *connection) {
	c.moveTo(nil)
	if c.counted {
		c.counted = false
		l.open--
	}
}

// connection is a connection of a limitedListener, whose mu guards counted, list and element.
type connection struct {
	net.Conn

	listener   *limitedListener
	acceptedAt time.Time
	counted    bool
	list       *list.List // the listener's list unread or its list read; nil once authenticated or removed
	element    *list.Element
	wasRead    atomic.Bool // a Read returned data

	authenticated atomic.Bool // read without mu, so that only the first call on the connection locks mu

	reads, writes deadline
}

// moveTo moves the connection from its list to another; nil: to none. The caller holds mu.
func (c *connection) moveTo(to *list.List) {
	if c.list != nil {
		c.list.Remove(c.element)
	}
	c.list, c.element = to, nil
	if to != nil {
		c.element = to.PushBack(c)
	}
}

// Read reads, and records that the caller has sent something.
func (c *connection) Read(into []byte) (int, error) {
	n, err := c.Conn.Read(into)
	for n == 0 && err != nil && c.reads.retry(err) {
		n, err = c.Conn.Read(into)
	}
	if n > 0 && !c.wasRead.Load() && !c.wasRead.Swap(true) {
		c.listener.mu.Lock()
		if c.list == &c.listener.unread {
			c.moveTo(&c.listener.read)
		}
		c.listener.mu.Unlock()
	}
	return n, err
}

// Write writes all of from.
func (c *connection) Write(from []byte) (int, error) {
	n, err := c.Conn.Write(from)
	for err != nil && c.writes.retry(err) {
		var more int
		more, err = c.Conn.Write(from[n:])
		n += more
	}
	return n, err
}

// SetReadDeadline sets the deadline of reads.
func (c *connection) SetReadDeadline(t time.Time) error { return c.reads.want(t) }

// SetWriteDeadline sets the deadline of writes.
func (c *connection) SetWriteDeadline(t time.Time) error { return c.writes.want(t) }

// SetDeadline sets both deadlines.
func (c *connection) SetDeadline(t time.Time) error {
	return errors.Join(c.reads.want(t), c.writes.want(t))
}

// Close closes the connection and stops counting it.
func (c *connection) Close() error {
	c.listener.mu.Lock()
	c.listener.remove(c)
	c.listener.mu.Unlock()
	return c.Conn.Close()
}

// CloseWrite closes the sending side. net/http calls it before Close: otherwise the caller could lose the answer to a
// TCP reset.
func (c *connection) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// markAuthenticated exempts the connection from eviction.
func (c *connection) markAuthenticated() {
	if c.authenticated.Load() {
		return
	}
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	c.moveTo(nil)
	c.authenticated.Store(true)
}

// connectionKey is the context key of a request's connection.
type connectionKey struct{}

// withConnection is the ConnContext of the [http.Server]. It stores the connection in ctx for markAuthenticated.
func withConnection(ctx context.Context, conn net.Conn) context.Context {
	if wrapped, ok := conn.(interface{ NetConn() net.Conn }); ok { // *tls.Conn
		conn = wrapped.NetConn()
	}
	if c, ok := conn.(*connection); ok {
		return context.WithValue(ctx, connectionKey{}, c)
	}
	return ctx
}

// markAuthenticated exempts a request's connection from eviction.
func markAuthenticated(ctx context.Context) {
	if c, ok := ctx.Value(connectionKey{}).(*connection); ok {
		c.markAuthenticated()
	}
}
