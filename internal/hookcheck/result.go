package hookcheck

import (
	"net/http"
	"strings"
	"time"

	"registrationpolicy.dev/operator/internal/oktasim"
)

// slowDivisor divides Okta's timeout: an answer that takes more than half of it is slow. The other half is a reserve for
// higher load.
const slowDivisor = 2

// readResult adds the faults that oktasim found in the answers of all attempts.
func (o *Options) readResult(report *Report) {
	r := &report.Result
	var earlier []string
	for _, t := range r.Faults {
		switch {
		case t.Earlier:
			earlier = append(earlier, t.Text)
		case t.Kind == oktasim.KindStatus:
			o.readStatus(report)
		case t.Kind == oktasim.KindRedirect && r.RedirectHost != "":
			report.add(Redirect, "%d to the host %s: Okta does not follow redirects", r.Status, r.RedirectHost)
		default:
			if name, found := byKind[t.Kind]; found {
				report.add(name, "%s", t.Text)
			}
		}
	}
	if len(earlier) > 0 && r.Err == nil && r.Status/100 == 2 {
		report.add(AnsweredOnRetry, "%s", strings.Join(earlier, "; "))
	}
	if r.Err == nil && r.LastLatency > o.timeout()/slowDivisor {
		report.add(Slow, "the answer took %s of %s", r.LastLatency.Round(time.Millisecond), o.timeout())
	}
}

// byKind maps the kinds of oktasim's faults to names of faults of this package. It lacks KindTimeout, KindConnection and
// KindStatus, for which [trace.examine] and [Options.readStatus] find the exact cause.
var byKind = map[oktasim.Kind]Name{
	oktasim.KindRedirect:           Redirect,
	oktasim.KindUnusualStatus:      UnexpectedStatus,
	oktasim.KindTooLarge:           AnswerTooLarge,
	oktasim.KindContentType:        ContentType,
	oktasim.KindEmptyBody:          EmptyBody,
	oktasim.KindNotJSON:            NotJSON,
	oktasim.KindDuplicateMember:    DuplicateMember,
	oktasim.KindMisspeltMember:     MisspeltMember,
	oktasim.KindUnknownMember:      UnknownMember,
	oktasim.KindDebugContext:       DebugContextNoObject,
	oktasim.KindUnreadableCommands: UnreadableCommands,
	oktasim.KindNoCommand:          NoCommand,
	oktasim.KindCommandName:        CommandName,
	oktasim.KindRegistrationValue:  RegistrationValue,
	oktasim.KindSecondAction:       SecondAction,
	oktasim.KindOtherShape:         UpdateForOtherShape,
	oktasim.KindProfileUpdate:      UpdateWithoutEffect,
	oktasim.KindDroppedUpdate:      UpdateBesideDeny,
	oktasim.KindErrorOnAllow:       ErrorOnAllow,
	oktasim.KindErrorWithoutDeny:   ErrorWithoutDeny,
	oktasim.KindDenyWithoutError:   DenyWithoutError,
	oktasim.KindErrorForm:          ErrorForm,
	oktasim.KindCauseForm:          CauseForm,
	oktasim.KindCauseElsewhere:     CauseElsewhere,
}

// byStatus maps each HTTP status that has a fault of its own to that fault.
var byStatus = map[int]Name{
	http.StatusBadRequest:            BadRequest,
	http.StatusForbidden:             Forbidden,
	http.StatusNotFound:              PathNotFound,
	http.StatusMethodNotAllowed:      MethodNotAllowed,
	http.StatusRequestTimeout:        RequestTimeout,
	http.StatusRequestEntityTooLarge: PayloadTooLarge,
	http.StatusUnsupportedMediaType:  UnsupportedMediaType,
	http.StatusTooManyRequests:       TooManyRequests,
	http.StatusBadGateway:            NoBackend,
	http.StatusServiceUnavailable:    NoBackend,
	http.StatusGatewayTimeout:        NoBackend,
}

func (o *Options) readStatus(report *Report) {
	status := report.Result.Status
	name, found := byStatus[status]
	switch {
	case status == http.StatusUnauthorized:
		report.add(Unauthorized, "%s", o.unauthorized())
		return
	case found:
	case status >= http.StatusInternalServerError:
		name = ServerError
	default:
		name = UnexpectedStatus
	}
	report.add(name, "status %d %s", status, http.StatusText(status))
}

// unauthorized describes a refused credential: its header, and what is often wrong with such a value. It does not quote
// the value.
func (o *Options) unauthorized() string {
	header, value := o.header(), o.Call.Credential
	if value == "" {
		return "the hook requires a credential, and none was sent: set it by --credential-file, and its header by --header"
	}
	text := "the hook refused the credential in the header " + header
	if strings.TrimSpace(value) != value {
		text += "; the value begins or ends with white space, which HTTP removes"
	}
	if header == defaultHeader && !hasScheme(value) {
		text += "; the value has no scheme: many hooks require it to begin with \"Basic \", as Okta's example does"
	}
	if o.LineBreakDropped {
		text += "; the file's final line break was not sent: a hook whose credential includes it refuses every call"
	}
	return text
}

// defaultHeader is the header name that Okta's form suggests.
const defaultHeader = "Authorization"

func (o *Options) header() string {
	if o.Call.Header == "" {
		return defaultHeader
	}
	return http.CanonicalHeaderKey(o.Call.Header)
}

func hasScheme(value string) bool {
	scheme, _, found := strings.Cut(value, " ")
	return found && (scheme == "Basic" || scheme == "Bearer")
}
