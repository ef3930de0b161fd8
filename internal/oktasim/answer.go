package oktasim

import (
	"bytes"
	"mime"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// MaxAnswer is a size in bytes: Okta refuses an answer of this size or more. Okta's documentation says 256 KB, which
// this package takes as KiB.
const MaxAnswer = 256 << 10

// Types of the commands in an answer.
const (
	commandAction            = "com.okta.action.update"
	commandProfileUpdate     = "com.okta.user.profile.update"
	commandProgressiveUpdate = "com.okta.user.progressive.profile.update"
)

// Answer is a hook's answer.
type Answer struct {
	// Status is the HTTP status.
	Status int
	// ContentType is the header Content-Type.
	ContentType string
	// Body is the answer's body.
	Body []byte
}

// Read returns how Okta handles an answer to a call of this shape. Attempts and the latencies of the Result stay zero.
func Read(shape Shape, a Answer) Result {
	r := Result{Status: a.Status}
	switch {
	case a.Status/100 == 3:
		r.addFault(KindRedirect, "status %d: Okta does not follow redirects", a.Status)
		r.fail(shape)
	case a.Status/100 != 2:
		r.addFault(KindStatus, "status %d: anything but 2xx is a failure", a.Status)
		r.fail(shape)
	case len(a.Body) >= MaxAnswer:
		r.addFault(KindTooLarge, "body of 256 KB or more: Okta refuses it")
		r.fail(shape)
	case a.Status == http.StatusNoContent:
		r.Outcome = Registered // Okta's documentation of 204: "without any update"
	default:
		if a.Status != http.StatusOK {
			r.addFault(KindUnusualStatus, "status %d: Okta documents 200 and 204 only", a.Status)
		}
		r.readBody(shape, a)
	}
	return r
}

// lenient is how Okta reads JSON (inferred): names are case-sensitive, and of duplicate members the last one counts.
var lenient = jsontext.AllowDuplicateNames(true)

func (r *Result) readBody(shape Shape, a Answer) {
	if mediaType, _, err := mime.ParseMediaType(a.ContentType); err != nil || mediaType != "application/json" {
		r.addFault(KindContentType, "Content-Type is %.40q: send application/json", a.ContentType)
	}
	if len(bytes.TrimSpace(a.Body)) == 0 {
		r.addFault(KindEmptyBody, "empty body: Okta takes it for a failure; send status 204 to allow without a body")
		r.fail(shape)
		return
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(a.Body, &members, lenient); err != nil || members == nil {
		r.addFault(KindNotJSON, "body is not a JSON object")
		r.fail(shape)
		return
	}
	if !jsontext.Value(a.Body).IsValid() {
		r.addFault(KindDuplicateMember, "duplicate member: programs differ in which one they read")
	}
	r.checkMembers(members)
	commands, err := readCommands(members["commands"])
	if err != nil {
		r.addFault(KindUnreadableCommands, "%s", err)
		r.fail(shape)
		return
	}
	r.apply(shape, commands, members["error"])
}

// checkMembers reads debugContext, and adds a fault for each member that Okta does not read.
func (r *Result) checkMembers(members map[string]jsontext.Value) {
	for _, name := range sortedNames(members) {
		switch lower := strings.ToLower(name); {
		case name == "commands" || name == "error":
		case name == "debugContext":
			r.DebugContext = compact(members[name])
			if members[name].Kind() != jsontext.KindBeginObject {
				r.addFault(KindDebugContext, "debugContext is not an object")
			}
		case lower == "error" || lower == "commands" || lower == "debugcontext":
			r.addFault(KindMisspeltMember, "member %q: Okta does not read it; write it %q", name, knownMember(lower))
		default:
			r.addFault(KindUnknownMember, "member %.40q: Okta does not read it", name)
		}
	}
}

// knownMember returns the name of a known member with the right case. lower is the name in lower case.
func knownMember(lower string) string {
	if lower == "debugcontext" {
		return "debugContext"
	}
	return lower
}

// apply applies the commands and the error of an answer. With an error, whatever its content, Okta runs no command and
// the registration fails.
func (r *Result) apply(shape Shape, commands []command, failure jsontext.Value) {
	action := r.run(shape, commands)
	if failure != nil {
		if action != denyAction {
			r.addErrorWithoutDeny(action)
		}
		r.dropUpdates("error")
		r.denyWithCauses(shape, r.readError(failure))
		return
	}
	switch action {
	case denyAction:
		r.addFault(KindDenyWithoutError, "DENY without error: the person reads a generic text")
		r.dropUpdates("DENY")
		r.deny(shape)
	case allowAction:
		r.Outcome = Registered
	default:
		r.Outcome, r.ByDefault = Registered, true
		if len(r.ProfileUpdates) == 0 {
			r.addFault(KindNoCommand, "no command that Okta knows: Okta allows by default")
		}
	}
}

// dropUpdates drops the profile updates of an answer that denies the registration. cause is the part that denies it:
// DENY or error.
func (r *Result) dropUpdates(cause string) {
	if len(r.ProfileUpdates) > 0 {
		r.addFault(KindDroppedUpdate, "profile updates beside %s: Okta ignores them", cause)
		r.ProfileUpdates = nil
	}
}

// addErrorWithoutDeny adds the fault of an error without DENY.
func (r *Result) addErrorWithoutDeny(action action) {
	const together = "error without DENY: send both together"
	if action == allowAction {
		r.addFault(KindErrorOnAllow, together+"; Okta does not run the ALLOW")
		return
	}
	r.addFault(KindErrorWithoutDeny, together)
}
