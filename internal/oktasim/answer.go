package oktasim

import (
	"bytes"
	"mime"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// MaxAnswer is the size in bytes from which on Okta refuses an answer: 256 KB, read as KiB.
const MaxAnswer = 256 << 10

// The commands that Okta knows.
const (
	commandAction            = "com.okta.action.update"
	commandProfileUpdate     = "com.okta.user.profile.update"
	commandProgressiveUpdate = "com.okta.user.progressive.profile.update"
)

// Answer is what a hook sent back.
type Answer struct {
	// Status is the HTTP status.
	Status int
	// ContentType is the header of that name.
	ContentType string
	// Body is the answer's body.
	Body []byte
}

// Read returns what Okta makes of an answer to a call of this shape. Attempts and Latency stay unset.
func Read(shape Shape, a Answer) Result {
	r := Result{Status: a.Status}
	switch {
	case a.Status/100 == 3:
		r.trouble(KindRedirect, "status %d: Okta does not follow redirects", a.Status)
		r.fail(shape)
	case a.Status/100 != 2:
		r.trouble(KindStatus, "status %d: anything but 2xx is a failure", a.Status)
		r.fail(shape)
	case len(a.Body) >= MaxAnswer:
		r.trouble(KindTooLarge, "body of 256 KB or more: Okta refuses it")
		r.fail(shape)
	case a.Status == http.StatusNoContent:
		r.Outcome = Registered // "without any update"
	default:
		if a.Status != http.StatusOK {
			r.trouble(KindUnusualStatus, "status %d: Okta documents 200 and 204 only", a.Status)
		}
		r.readBody(shape, a)
	}
	return r
}

// lenient is how Okta reads JSON (inferred): the last of two members of one name counts. Names are compared by case.
var lenient = jsontext.AllowDuplicateNames(true)

func (r *Result) readBody(shape Shape, a Answer) {
	if mediaType, _, err := mime.ParseMediaType(a.ContentType); err != nil || mediaType != "application/json" {
		r.trouble(KindContentType, "Content-Type is %.40q: send application/json", a.ContentType)
	}
	if len(bytes.TrimSpace(a.Body)) == 0 {
		r.trouble(KindEmptyBody, "empty body: a failure; an allow without a body has status 204")
		r.fail(shape)
		return
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(a.Body, &members, lenient); err != nil || members == nil {
		r.trouble(KindNotJSON, "body is not a JSON object")
		r.fail(shape)
		return
	}
	if !jsontext.Value(a.Body).IsValid() {
		r.trouble(KindDuplicateMember, "a member is there twice: programs differ in which one they read")
	}
	r.checkMembers(members)
	commands, err := readCommands(members["commands"])
	if err != nil {
		r.trouble(KindUnreadableCommands, "%s", err)
		r.fail(shape)
		return
	}
	r.obey(shape, commands, members["error"])
}

// checkMembers reads debugContext, and names the members that Okta does not read.
func (r *Result) checkMembers(members map[string]jsontext.Value) {
	for _, name := range sortedNames(members) {
		switch lower := strings.ToLower(name); {
		case name == "commands" || name == "error":
		case name == "debugContext":
			r.DebugContext = compact(members[name])
			if members[name].Kind() != jsontext.KindBeginObject {
				r.trouble(KindDebugContext, "debugContext is not an object")
			}
		case lower == "error" || lower == "commands" || lower == "debugcontext":
			r.trouble(KindMisspeltMember, "member %q: Okta does not read it; write it %q", name, known(lower))
		default:
			r.trouble(KindUnknownMember, "member %.40q: Okta does not read it", name)
		}
	}
}

func known(lower string) string {
	if lower == "debugcontext" {
		return "debugContext"
	}
	return lower
}

// obey carries out the commands, unless there is an error, of whatever content: then none runs, and the registration
// fails.
func (r *Result) obey(shape Shape, commands []command, failure jsontext.Value) {
	says := r.run(shape, commands)
	if failure != nil {
		if says != saysDeny {
			r.troubleWithError(says)
		}
		r.dropUpdates("error")
		r.denyWith(shape, r.readError(failure))
		return
	}
	switch says {
	case saysDeny:
		r.trouble(KindDenyWithoutError, "DENY without error: the person reads a generic text")
		r.dropUpdates("DENY")
		r.deny(shape)
	case saysAllow:
		r.Outcome = Registered
	default:
		r.Outcome, r.ByDefault = Registered, true
		if len(r.ProfileUpdates) == 0 {
			r.trouble(KindNoCommand, "no command that Okta knows: it allows by default")
		}
	}
}

// dropUpdates forgets the profile updates of an answer that denies.
func (r *Result) dropUpdates(beside string) {
	if len(r.ProfileUpdates) > 0 {
		r.trouble(KindDroppedUpdate, "profile updates beside %s: they go nowhere", beside)
		r.ProfileUpdates = nil
	}
}

// troubleWithError names an error that has no DENY beside it.
func (r *Result) troubleWithError(says says) {
	const together = "error without DENY: send the two together"
	if says == saysAllow {
		r.trouble(KindErrorOnAllow, together+"; the ALLOW beside it does not run")
		return
	}
	r.trouble(KindErrorWithoutDeny, together)
}
