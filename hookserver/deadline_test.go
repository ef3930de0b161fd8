package hookserver

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// timedConn is one end of a pipe that counts how often its timers are set.
type timedConn struct {
	net.Conn

	reads, writes int
}

func (c *timedConn) SetReadDeadline(t time.Time) error {
	c.reads++
	return c.Conn.SetReadDeadline(t)
}

func (c *timedConn) SetWriteDeadline(t time.Time) error {
	c.writes++
	return c.Conn.SetWriteDeadline(t)
}

// piped returns a connection of a listener, the conn below, and the other end.
func piped(t *testing.T) (*connection, *timedConn, net.Conn) {
	t.Helper()
	ours, theirs := net.Pipe()
	below := &timedConn{Conn: ours}
	c := &connection{Conn: below, listener: newLimitedListener(nil, 1, func() {})}
	c.reads.set, c.writes.set = below.SetReadDeadline, below.SetWriteDeadline
	t.Cleanup(func() { _, _ = c.Close(), theirs.Close() })
	return c, below, theirs
}

// TestDeadlinesAreThoseOfAConn sets random deadlines while a read waits, and compares when it fails with a bare conn.
func TestDeadlinesAreThoseOfAConn(t *testing.T) {
	for seed := range uint64(200) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			lazy, _, _ := piped(t)
			bare, other := net.Pipe()
			t.Cleanup(func() { _, _ = bare.Close(), other.Close() })
			failed := make(chan time.Duration, 2)
			begin := time.Now()
			set := func() {
				at := time.Time{}
				if random.IntN(4) > 0 {
					at = time.Now().Add(time.Duration(random.IntN(5000)) * time.Millisecond)
				}
				for _, conn := range []net.Conn{lazy, bare} {
					if err := errors.Join(conn.SetReadDeadline(at), conn.SetWriteDeadline(at)); err != nil {
						t.Fatal(err)
					}
				}
			}
			for range random.IntN(4) {
				set()
			}
			operation := net.Conn.Read
			if random.IntN(2) == 0 {
				operation = net.Conn.Write
			}
			for _, conn := range []net.Conn{lazy, bare} {
				go func() {
					if _, err := operation(conn, make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Error(err)
					}
					failed <- time.Since(begin)
				}()
			}
			for range random.IntN(6) {
				time.Sleep(time.Duration(random.IntN(2000))*time.Millisecond + time.Microsecond)
				set()
			}
			for _, conn := range []net.Conn{lazy, bare} { // as net/http interrupts a read
				past := time.Unix(1, 0)
				if err := errors.Join(conn.SetReadDeadline(past), conn.SetWriteDeadline(past)); err != nil {
					t.Fatal(err)
				}
			}
			if first, second := <-failed, <-failed; first != second {
				t.Errorf("seed %d: one fails after %s, the other after %s", seed, first, second)
			}
		})
	}
}

func TestAConnectionWorksAfterItsDeadlineIsMoved(t *testing.T) {
	for sentence, at := range map[string]time.Duration{"later": 10 * time.Second, "away": 0} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _, other := piped(t)
				moved := time.Time{}
				if at > 0 {
					moved = time.Now().Add(at)
				}
				if err := errors.Join(c.SetDeadline(time.Now().Add(time.Second)), c.SetDeadline(moved)); err != nil {
					t.Fatal(err)
				}
				sent := bytes.Repeat([]byte("0123456789"), 100)
				go func() { // some bytes in time for the first deadline, the others only for the second
					_, _ = io.CopyN(other, bytes.NewReader(sent), 10)
					time.Sleep(5 * time.Second)
					_, _ = other.Write(sent[10:])
				}()
				got := make([]byte, len(sent))
				if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, sent) {
					t.Errorf("read %q, %v", got, err)
				}
				go func() {
					_, _ = io.ReadFull(other, got[:10])
					time.Sleep(3 * time.Second)
					_, _ = io.ReadFull(other, got[10:])
				}()
				clear(got)
				if n, err := c.Write(sent); n != len(sent) || err != nil {
					t.Errorf("wrote %d, %v", n, err)
				}
				synctest.Wait()
				if !bytes.Equal(got, sent) {
					t.Errorf("the other end has %q", got)
				}
			})
		})
	}
}

// TestACallMovesTheTimerTwice makes calls as net/http does.
func TestACallMovesTheTimerTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, below, other := piped(t)
		set := func(errs ...error) {
			t.Helper()
			if err := errors.Join(errs...); err != nil {
				t.Fatal(err)
			}
		}
		in := func(d time.Duration) time.Time { return time.Now().Add(d) }
		const calls = 100
		for range calls {
			set(c.SetReadDeadline(in(idleTimeout)))
			go func() { _, _ = other.Write([]byte("r")) }()
			if _, err := c.Read(make([]byte, 10)); err != nil {
				t.Fatal(err)
			}
			set(c.SetReadDeadline(in(readHeaderTimeout)), c.SetReadDeadline(in(readTimeout)), c.SetWriteDeadline(in(writeTimeout)))
			set(c.SetReadDeadline(in(bodyTimeout)), c.SetReadDeadline(time.Time{}))
			background := make(chan error)
			go func() {
				_, err := c.Read(make([]byte, 1))
				background <- err
			}()
			synctest.Wait()
			set(c.SetReadDeadline(time.Unix(1, 0)))
			if err := <-background; !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
			set(c.SetReadDeadline(time.Time{}))
			go func() { _, _ = io.ReadFull(other, make([]byte, 6)) }()
			if _, err := c.Write([]byte("answer")); err != nil {
				t.Fatal(err)
			}
			set(c.SetWriteDeadline(time.Time{}))
			time.Sleep(time.Millisecond)
		}
		if below.reads > 2*calls+2 || below.writes > 1 {
			t.Errorf("the timer of reads was set %d times, that of writes %d times, in %d calls", below.reads, below.writes, calls)
		}
	})
}
