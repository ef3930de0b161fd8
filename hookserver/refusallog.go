package hookserver

import (
	"bytes"
	"sync/atomic"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
)

// refusalLog writes a bounded number of lines about what strangers can cause at any rate, and says how many it left
// out.
type refusalLog struct {
	logger     logr.Logger
	limiter    *rate.Limiter
	suppressed *atomic.Int64 // lines left out since the last one
}

func newRefusalLog(logger logr.Logger) refusalLog {
	return refusalLog{logger, rate.NewLimiter(rate.Every(refusalLogEvery), refusalLogBurst), new(atomic.Int64)}
}

func (l refusalLog) call(refused refusal) {
	l.line("Call refused", "code", refused.status, "cause", refused.cause)
}

func (l refusalLog) line(message string, keysAndValues ...any) {
	if !l.limiter.Allow() {
		l.suppressed.Add(1)
		return
	}
	l.logger.Info(message, append(keysAndValues, "suppressed", l.suppressed.Swap(0))...)
}

// errorLog takes the lines of net/http's own log: failed TLS handshakes and the like, with the addresses of machines.
type errorLog struct{ lines refusalLog }

// Write logs one line.
func (l errorLog) Write(line []byte) (int, error) {
	text := bytes.TrimSpace(line)
	l.lines.line("HTTP server error", "error", string(text[:min(len(text), maxErrorLine)]))
	return len(line), nil
}
