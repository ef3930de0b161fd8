package hookserver

import (
	"log/slog"
	"sync"

	"registrationpolicy.dev/operator/hookserver/okta"
	"registrationpolicy.dev/operator/rules"
)

// scratch is the memory of one call, which later calls use again. It must not be used after release.
type scratch struct {
	call decidedCall

	body            []byte            // of the request
	profile, update []rules.Attribute // of the request
	debug           []byte            // debugContext
	answer          []byte
	values          []okta.Value // profile attributes of the answer

	logAttributes []slog.Attr
	logLine       []byte
}

// maxKept is the capacity in bytes up to which a buffer is kept for later calls. Okta's bodies and the usual answers are
// shorter. It must not exceed the 4 kB that net/http's HTTP/2 server copies of an answer: it may read a longer one while
// the handler already returns.
const maxKept = 4 << 10

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// release erases the personal data of the call, which the body and the attributes have, and makes the memory available
// to later calls.
func (m *scratch) release() {
	clear(m.body[:cap(m.body)])
	m.call = decidedCall{}
	for _, buf := range []*[]byte{&m.body, &m.debug, &m.answer, &m.logLine} {
		if cap(*buf) > maxKept {
			*buf = nil
		}
	}
	clear(m.values)
	clear(m.logAttributes)
	clear(m.profile)
	clear(m.update)
	scratches.Put(m)
}
