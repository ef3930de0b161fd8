package hookcheck

import "slices"

// Name is the name of a fault: stable, from the closed set of [Definitions].
type Name string

// The names; [Definitions] has the fixes.
const (
	PlainHTTP         Name = "PlainHTTP"         // the URL is http, to this machine: Okta calls https only
	NotHTTPS          Name = "NotHTTPS"          // the URL is http: Okta calls https only
	NameNotFound      Name = "NameNotFound"      // the host name is not in DNS
	NameLookupFailed  Name = "NameLookupFailed"  // DNS did not answer, or answered with an error
	NoIPv4            Name = "NoIPv4"            // the host has no IPv4 address: Okta calls over IPv4
	PrivateAddress    Name = "PrivateAddress"    // the host's address is not public: Okta, which calls from outside, cannot reach it
	ConnectionRefused Name = "ConnectionRefused" // nothing listens at the port
	Unreachable       Name = "Unreachable"       // there is no way to the address
	ConnectTimeout    Name = "ConnectTimeout"    // no connection in time: the packets are dropped
	ConnectionBroken  Name = "ConnectionBroken"  // the connection broke before a whole answer

	NotTLS                    Name = "NotTLS"                    // the port does not speak TLS
	TLSTooOld                 Name = "TLSTooOld"                 // the server speaks no TLS from version 1.2 on
	ClientCertificateRequired Name = "ClientCertificateRequired" // the server wants a client certificate, and Okta has none
	HandshakeFailed           Name = "HandshakeFailed"           // the TLS handshake failed
	CertificateExpired        Name = "CertificateExpired"        // a certificate has expired
	CertificateNotYetValid    Name = "CertificateNotYetValid"    // a certificate is not valid yet
	CertificateExpiresSoon    Name = "CertificateExpiresSoon"    // a certificate expires soon, and nothing has renewed it
	CertificateName           Name = "CertificateName"           // the certificate is for other host names
	CertificateInvalid        Name = "CertificateInvalid"        // the certificate may not be used for this
	SelfSigned                Name = "SelfSigned"                // the certificate is self-signed: no public client believes it
	IncompleteChain           Name = "IncompleteChain"           // the server does not send the intermediate certificates
	UnknownAuthority          Name = "UnknownAuthority"          // no public client knows the CA
	PrivateAuthority          Name = "PrivateAuthority"          // believed through --ca-file only: Okta probably believes public CAs alone

	Timeout              Name = "Timeout"              // no whole answer in the time that Okta waits
	Slow                 Name = "Slow"                 // the answer took more than half of the time that Okta waits
	AnsweredOnRetry      Name = "AnsweredOnRetry"      // only a later attempt was answered
	Redirect             Name = "Redirect"             // the hook redirects, and Okta does not follow
	BadRequest           Name = "BadRequest"           // 400: the hook cannot read the call
	Unauthorized         Name = "Unauthorized"         // 401: the hook refused the credential, or got none
	Forbidden            Name = "Forbidden"            // 403: something refused the call
	PathNotFound         Name = "PathNotFound"         // 404: nothing is served at the path
	MethodNotAllowed     Name = "MethodNotAllowed"     // 405: the path is not for POST
	RequestTimeout       Name = "RequestTimeout"       // 408: the server did not wait for the body
	PayloadTooLarge      Name = "PayloadTooLarge"      // 413: the server takes no body of this size
	UnsupportedMediaType Name = "UnsupportedMediaType" // 415: the hook does not take application/json
	TooManyRequests      Name = "TooManyRequests"      // 429: a rate limit
	NoBackend            Name = "NoBackend"            // 502, 503, 504: a proxy without a ready hook, or a hook that is not ready
	ServerError          Name = "ServerError"          // 5xx: the hook failed
	UnexpectedStatus     Name = "UnexpectedStatus"     // a status that Okta's documentation does not name
	Unauthenticated      Name = "Unauthenticated"      // the hook answers callers without the right credential

	AnswerTooLarge       Name = "AnswerTooLarge"       // 256 KB or more: Okta refuses it
	EmptyBody            Name = "EmptyBody"            // 200 without a body: a failure
	NotJSON              Name = "NotJSON"              // the body is not a JSON object
	DuplicateMember      Name = "DuplicateMember"      // a member is there twice: programs differ in which one they read
	ContentType          Name = "ContentType"          // the Content-Type is not application/json
	UnreadableCommands   Name = "UnreadableCommands"   // commands is not a list of objects
	NoCommand            Name = "NoCommand"            // no command that Okta knows, and so it ALLOWS by default
	CommandName          Name = "CommandName"          // a command whose name Okta does not know: it does nothing
	RegistrationValue    Name = "RegistrationValue"    // registration is neither ALLOW nor DENY: the command does nothing
	SecondAction         Name = "SecondAction"         // two commands that allow or deny: which one counts is not documented
	ErrorOnAllow         Name = "ErrorOnAllow"         // an error beside ALLOW: the registration fails
	ErrorWithoutDeny     Name = "ErrorWithoutDeny"     // an error without DENY: the registration fails, by luck as meant
	MisspeltMember       Name = "MisspeltMember"       // a member with other capitals, such as Error: Okta does not read it
	UnknownMember        Name = "UnknownMember"        // a member that Okta does not read
	DenyWithoutError     Name = "DenyWithoutError"     // DENY without error: the person reads a generic text
	ErrorForm            Name = "ErrorForm"            // the error lacks a summary or causes: the person reads a generic text
	CauseForm            Name = "CauseForm"            // a cause lacks a member, or has one that Okta treats otherwise
	CauseElsewhere       Name = "CauseElsewhere"       // a cause that is not located at an attribute: nobody reads it
	UpdateForOtherShape  Name = "UpdateForOtherShape"  // a profile update that does nothing in this kind of call
	UpdateWithoutEffect  Name = "UpdateWithoutEffect"  // a profile update that sets nothing
	UpdateBesideDeny     Name = "UpdateBesideDeny"     // profile updates beside a denial go nowhere
	DebugContextNoObject Name = "DebugContextNoObject" // debugContext is not an object
)

// Level says how bad a fault is.
type Level string

const (
	// LevelError: Okta refuses the hook or its answer, or makes something else of it than the hook meant.
	LevelError Level = "error"
	// LevelWarning: it works now, or the decision stands and only its text or effect suffers.
	LevelWarning Level = "warning"
)

// Definition is what is fixed about a fault.
type Definition struct {
	// Name is its name.
	Name Name
	// Level is how bad it is.
	Level Level
	// Meaning says in one line what is wrong.
	Meaning string
	// Fix says what to do.
	Fix string
}

// Definitions returns every fault there is, in the order in which a call meets them.
func Definitions() []Definition {
	return slices.Concat(reaching, calling, answering)
}

func definition(name Name) Definition {
	for _, d := range Definitions() {
		if d.Name == name {
			return d
		}
	}
	return Definition{Name: name, Level: LevelError}
}

// reaching are the faults between here and the hook's server.
var reaching = []Definition{
	{PlainHTTP, LevelWarning, "the URL is http, to this machine: Okta calls https only",
		"Good enough for a try on one machine. Before Okta calls, put https in front of it, with a certificate of a public CA."},
	{NotHTTPS, LevelError, "the URL is http: Okta calls https only",
		"Write https, with a certificate of a public CA. For a check behind the proxy say --plain-http."},
	{NameNotFound, LevelError, "the host name is not in DNS",
		"Create the DNS record, or correct the name; a new record may take a while to be seen."},
	{NameLookupFailed, LevelError, "DNS did not answer, or answered with an error",
		"Try again, and look at the zone's name servers; --resolve calls a given address meanwhile."},
	{NoIPv4, LevelError, "the host has no IPv4 address: Okta calls over IPv4",
		"Add an A record; give the load balancer an IPv4 address."},
	{PrivateAddress, LevelWarning, "the host's address is not public: Okta, which calls from outside, cannot reach it",
		"Publish a public address for the name; what you see may be an inside view of DNS (--resolve calls another address)."},
	{ConnectionRefused, LevelError, "nothing listens at the port",
		"Look at the port, at the load balancer's listener and at the Service behind it."},
	{Unreachable, LevelError, "there is no way to the address",
		"Look at the address in DNS, at routes and at the network you call from."},
	{ConnectTimeout, LevelError, "no connection in time: the packets are dropped",
		"Look at the firewall, the load balancer's security group and the NetworkPolicy."},
	{ConnectionBroken, LevelError, "the connection broke before a whole answer",
		"Look at the log of the hook and of the proxy before it: a crash, a limit, or a protocol that they do not share."},
	{NotTLS, LevelError, "the port does not speak TLS",
		"Call the port that does; or let the proxy end TLS there."},
	{TLSTooOld, LevelError, "the server speaks no TLS from version 1.2 on",
		"Switch TLS 1.2 or 1.3 on."},
	{ClientCertificateRequired, LevelError, "the server wants a client certificate, and Okta has none",
		"Switch client certificates off for the hook's host; the credential in the header says who calls."},
	{HandshakeFailed, LevelError, "the TLS handshake failed",
		"Look at the proxy's log and TLS settings: often no certificate for this host name."},
	{CertificateExpired, LevelError, "a certificate has expired",
		"Renew it, and see that the server took the new one."},
	{CertificateNotYetValid, LevelError, "a certificate is not valid yet",
		"Wait, or look at the clocks of the issuer and of this machine."},
	{CertificateExpiresSoon, LevelWarning, "a certificate expires soon, and nothing has renewed it",
		"Look at whatever renews it."},
	{CertificateName, LevelError, "the certificate is for other host names",
		"Call a host that it names, or get one for this host; an Ingress without its TLS Secret shows a default certificate."},
	{CertificateInvalid, LevelError, "the certificate may not be used for this",
		"Get a certificate for servers from a public CA."},
	{SelfSigned, LevelError, "the certificate is self-signed: no public client believes it",
		"Get one of a public CA; an Ingress without its TLS Secret shows a default one of this kind."},
	{IncompleteChain, LevelError, "the server does not send the intermediate certificates",
		"Serve the full chain (often fullchain.pem): the host's certificate first, then each issuer but the root."},
	{UnknownAuthority, LevelError, "no public client knows the CA",
		"Get a certificate of a public CA. To check with a CA of your own say --ca-file."},
	{PrivateAuthority, LevelWarning, "believed through --ca-file only: Okta probably believes public CAs alone",
		"Get a certificate of a public CA before Okta calls."},
}

// calling are the faults of the call itself.
var calling = []Definition{
	{Timeout, LevelError, "no whole answer in the time that Okta waits",
		"Answer from memory: look at what the hook waits for. Three seconds include the connection."},
	{Slow, LevelWarning, "the answer took more than half of the time that Okta waits",
		"Answer from memory; slow answers also hold the few calls at once that an org may make."},
	{AnsweredOnRetry, LevelWarning, "only a later attempt was answered",
		"Look at what failed first: a replica without readiness, a rolling restart, a dead address behind the name."},
	{Redirect, LevelError, "the hook redirects, and Okta does not follow",
		"Give Okta the final URL; switch the redirect off for the hook's path (a slash at the end often causes one)."},
	{BadRequest, LevelError, "400: the hook cannot read the call",
		"Look at the hook's log, and at what a proxy does to the body."},
	{Unauthorized, LevelError, "401: the hook refused the credential, or got none",
		"Make header name and value in Okta and at the hook the same, letter by letter."},
	{Forbidden, LevelError, "403: something refused the call",
		"Look at the web application firewall, address lists and authorisation before the hook."},
	{PathNotFound, LevelError, "404: nothing is served at the path",
		"Compare the path with the hook's own and with the Ingress; a slash at the end counts."},
	{MethodNotAllowed, LevelError, "405: the path is not for POST",
		"Compare the path with the hook's own; Okta always posts."},
	{RequestTimeout, LevelError, "408: the server did not wait for the body",
		"Look at the time-outs of the proxy."},
	{PayloadTooLarge, LevelError, "413: the server takes no body of this size",
		"Allow bodies of 64 KiB at the proxy; Okta's have up to a few."},
	{UnsupportedMediaType, LevelError, "415: the hook does not take application/json",
		"Take application/json without a charset."},
	{TooManyRequests, LevelError, "429: a rate limit",
		"Leave Okta out of the limit, or raise it: an org makes up to 75 calls at once."},
	{NoBackend, LevelError, "502, 503, 504: a proxy without a ready hook, or a hook that is not ready",
		"Look at the hook's readiness, and at the Service's port and endpoints."},
	{ServerError, LevelError, "5xx: the hook failed",
		"Look at the hook's log."},
	{UnexpectedStatus, LevelError, "a status that Okta's documentation does not name",
		"Answer 200; or 204 without a body, which allows."},
	{Unauthenticated, LevelError, "the hook answers callers without the right credential",
		"Let the hook compare the header with the whole secret, and refuse a call without it with 401."},
}

// answering are the faults of the answer's body.
var answering = []Definition{
	{AnswerTooLarge, LevelError, "256 KB or more: Okta refuses it",
		"Answer with commands, error and debugContext only."},
	{EmptyBody, LevelError, "200 without a body: a failure",
		"Answer with a command; an allow without a body has status 204."},
	{NotJSON, LevelError, "the body is not a JSON object",
		"Answer with a JSON object; a page of HTML comes from a proxy or a login in between."},
	{DuplicateMember, LevelError, "a member is there twice: programs differ in which one they read",
		"Write each member once."},
	{ContentType, LevelWarning, "the Content-Type is not application/json",
		"Send Content-Type: application/json."},
	{UnreadableCommands, LevelError, "commands is not a list of objects",
		`Write "commands": [{"type": …, "value": {…}}].`},
	{NoCommand, LevelError, "no command that Okta knows, and so it ALLOWS by default",
		`Send com.okta.action.update with {"registration": "ALLOW"} or "DENY", each time.`},
	{CommandName, LevelError, "a command whose name Okta does not know: it does nothing",
		"Write com.okta.action.update (com.action.update of some examples is wrong)."},
	{RegistrationValue, LevelError, "registration is neither ALLOW nor DENY: the command does nothing",
		"Write ALLOW or DENY, in capitals."},
	{SecondAction, LevelError, "two commands that allow or deny: which one counts is not documented",
		"Send one com.okta.action.update."},
	{ErrorOnAllow, LevelError, "an error beside ALLOW: the registration fails",
		"Leave the member error out of an allow, even an empty one or null."},
	{ErrorWithoutDeny, LevelError, "an error without DENY: the registration fails, by luck as meant",
		"Send DENY and error together."},
	{MisspeltMember, LevelError, "a member with other capitals, such as Error: Okta does not read it",
		"Write commands, error, debugContext."},
	{UnknownMember, LevelWarning, "a member that Okta does not read",
		"Leave it out; what administrators should see goes into debugContext."},
	{DenyWithoutError, LevelWarning, "DENY without error: the person reads a generic text",
		"Send error with errorSummary and one cause, with the same sentence in both."},
	{ErrorForm, LevelWarning, "the error lacks a summary or causes: the person reads a generic text",
		"Send errorSummary and errorCauses, with the same sentence in the summary and the cause."},
	{CauseForm, LevelWarning, "a cause lacks a member, or has one that Okta treats otherwise",
		"Send all five: errorSummary, reason (not UNIQUE_CONSTRAINT), locationType body, location, domain end-user."},
	{CauseElsewhere, LevelWarning, "a cause that is not located at an attribute: nobody reads it",
		"Write location data.userProfile.<attribute>, for a progressive profile too."},
	{UpdateForOtherShape, LevelError, "a profile update that does nothing in this kind of call",
		"Sign-up: com.okta.user.profile.update; progressive profile: com.okta.user.progressive.profile.update."},
	{UpdateWithoutEffect, LevelWarning, "a profile update that sets nothing",
		`Write "value": {"<attribute>": …}, or leave the command out.`},
	{UpdateBesideDeny, LevelWarning, "profile updates beside a denial go nowhere",
		"Leave them out of a denial."},
	{DebugContextNoObject, LevelWarning, "debugContext is not an object",
		"Write an object; it is what administrators see in the System Log."},
}
