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

// maxKept is the largest capacity in bytes of a buffer that is kept for later calls. Okta's bodies and the usual
// answers are shorter. It must not exceed 4 kB: net/http's HTTP/2 server copies an answer up to that length. It may
// read a longer one after the handler has returned, when another call may overwrite a kept buffer.
const maxKept = 4 << 10

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// release erases the personal data of the call, which is in the body and the attributes, and makes the memory available
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
