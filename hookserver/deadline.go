package hookserver

import (
	"errors"
	"os"
	"sync"
	"time"
)

// deadline is the read or write deadline of a connection. net/http and readBody set nine deadlines for each call,
// nearly all later than the one before. With a bare [net.Conn], each moves a timer of the Go runtime; together this
// takes 5 % of the CPU time of a call.
//
// This type does not move the timer for a later deadline. If the timer expires before the deadline, retry sets it
// again, and the read or write continues. The timer is then moved only twice a call.
type deadline struct {
	set func(time.Time) error // sets the timer: SetReadDeadline or SetWriteDeadline of the connection

	mu     sync.Mutex
	wanted time.Time // zero if there is no deadline
	timer  time.Time // never later than wanted; zero if it is not set
	early  bool      // true after retry has set the timer to earlyTimer ahead: the next retry sets it to wanted
}

// earlyTimer is how far ahead retry sets the timer at first, even if the wanted deadline is later. It is the shortest
// timeout of an accepted call, so the timeouts of the next call do not move the timer. If no call comes and the timer
// expires, retry sets it to the wanted deadline.
const earlyTimer = bodyTimeout

// want sets the deadline. A zero time means none.
func (d *deadline) want(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wanted = t
	if t.IsZero() || !d.timer.IsZero() && !t.Before(d.timer) {
		return nil
	}
	d.timer, d.early = t, false
	return d.set(t)
}

// retry reports whether a read or write that failed with err must be tried again, because the timer expired before the
// wanted deadline.
func (d *deadline) retry(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if !d.wanted.IsZero() && !d.wanted.After(now) {
		return false
	}
	d.timer, d.early = d.wanted, !d.early
	if soon := now.Add(earlyTimer); d.early && (d.wanted.IsZero() || soon.Before(d.wanted)) {
		d.timer = soon
	}
	return d.set(d.timer) == nil
}
