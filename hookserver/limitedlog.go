package hookserver

import (
	"bytes"
	"sync/atomic"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
)

// limitedLog is a rate-limited log for events that unauthenticated callers can cause at any rate. Each line has the
// number of lines suppressed before it.
type limitedLog struct {
	logger     logr.Logger
	limiter    *rate.Limiter
	suppressed *atomic.Int64 // since the last line
}

func newLimitedLog(logger logr.Logger) limitedLog {
	return limitedLog{logger, rate.NewLimiter(rate.Every(logEvery), logBurst), new(atomic.Int64)}
}

func (l limitedLog) line(message string, keysAndValues ...any) {
	if !l.limiter.Allow() {
		l.suppressed.Add(1)
		return
	}
	l.logger.Info(message, append(keysAndValues, "suppressed", l.suppressed.Swap(0))...)
}

// errorLog is the output of net/http's own log. Any caller can cause its lines, for example by a failed TLS handshake.
// They have the IP address of the caller.
type errorLog struct{ log limitedLog }

// Write logs one line.
func (l errorLog) Write(line []byte) (int, error) {
	text := bytes.TrimSpace(line)
	l.log.line("HTTP server error", "error", string(text[:min(len(text), maxErrorLine)]))
	return len(line), nil
}
