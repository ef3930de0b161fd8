package hookcheck

import "slices"

// Name is the stable name of a fault. [Definitions] has all of them.
type Name string

// The names of faults. [Definitions] has their fixes.
const (
	PlainHTTP         Name = "PlainHTTP"         // the URL is http, to this machine: Okta calls https only
	NotHTTPS          Name = "NotHTTPS"          // the URL is http: Okta calls https only
	NameNotFound      Name = "NameNotFound"      // the host name is not in DNS
	NameLookupFailed  Name = "NameLookupFailed"  // DNS did not answer, or answered with an error
	NoIPv4            Name = "NoIPv4"            // the host has no IPv4 address: Okta calls over IPv4
	PrivateAddress    Name = "PrivateAddress"    // the host's address is not public: Okta cannot reach it from the internet
	ConnectionRefused Name = "ConnectionRefused" // nothing listens on the port
	Unreachable       Name = "Unreachable"       // the address cannot be reached
	ConnectTimeout    Name = "ConnectTimeout"    // no connection in time: something drops the packets
	ConnectionBroken  Name = "ConnectionBroken"  // the connection broke before the answer was complete

	NotTLS                    Name = "NotTLS"                    // the port does not speak TLS
	TLSTooOld                 Name = "TLSTooOld"                 // the server does not support TLS 1.2 or later
	ClientCertificateRequired Name = "ClientCertificateRequired" // the server requires a client certificate, which Okta does not have
	HandshakeFailed           Name = "HandshakeFailed"           // the TLS handshake failed
	CertificateExpired        Name = "CertificateExpired"        // a certificate has expired
	CertificateNotYetValid    Name = "CertificateNotYetValid"    // a certificate is not valid yet
	CertificateExpiresSoon    Name = "CertificateExpiresSoon"    // a certificate expires soon and was not renewed
	CertificateName           Name = "CertificateName"           // the certificate is for other host names
	CertificateInvalid        Name = "CertificateInvalid"        // the certificate is not valid for a server
	SelfSigned                Name = "SelfSigned"                // the certificate is self-signed, not of a public CA
	IncompleteChain           Name = "IncompleteChain"           // the server does not send the intermediate certificates
	UnknownAuthority          Name = "UnknownAuthority"          // the issuer is not a public CA
	PrivateAuthority          Name = "PrivateAuthority"          // trusted only because of --ca-file: Okta probably trusts only public CAs

	Timeout              Name = "Timeout"              // no complete answer in the time that Okta waits
	Slow                 Name = "Slow"                 // the answer took more than half of the time that Okta waits
	AnsweredOnRetry      Name = "AnsweredOnRetry"      // the first attempt failed, a later one was answered
	Redirect             Name = "Redirect"             // the hook redirects, which Okta does not follow
	BadRequest           Name = "BadRequest"           // 400: the hook cannot read the call
	Unauthorized         Name = "Unauthorized"         // 401: the hook got no credential, or refused it
	Forbidden            Name = "Forbidden"            // 403: something refused the call
	PathNotFound         Name = "PathNotFound"         // 404: nothing is served at the path
	MethodNotAllowed     Name = "MethodNotAllowed"     // 405: the path does not accept POST
	RequestTimeout       Name = "RequestTimeout"       // 408: the server did not wait for the body
	PayloadTooLarge      Name = "PayloadTooLarge"      // 413: the server does not accept a body of this size
	UnsupportedMediaType Name = "UnsupportedMediaType" // 415: the hook does not accept application/json
	TooManyRequests      Name = "TooManyRequests"      // 429: a rate limit
	NoBackend            Name = "NoBackend"            // 502, 503, 504: the hook is not ready, or the proxy has no ready hook
	ServerError          Name = "ServerError"          // 5xx: the hook failed
	UnexpectedStatus     Name = "UnexpectedStatus"     // a status that Okta's documentation does not mention
	Unauthenticated      Name = "Unauthenticated"      // the hook answers callers without the right credential

	AnswerTooLarge       Name = "AnswerTooLarge"       // 256 KB or more: Okta refuses it
	EmptyBody            Name = "EmptyBody"            // 200 without a body: Okta takes it for a failure
	NotJSON              Name = "NotJSON"              // the body is not a JSON object
	DuplicateMember      Name = "DuplicateMember"      // a duplicate member: programs differ in which one they read
	ContentType          Name = "ContentType"          // the Content-Type is not application/json
	UnreadableCommands   Name = "UnreadableCommands"   // commands is not a list of objects
	NoCommand            Name = "NoCommand"            // no command that Okta knows: Okta ALLOWS by default
	CommandName          Name = "CommandName"          // a command whose name Okta does not know: it has no effect
	RegistrationValue    Name = "RegistrationValue"    // registration is neither ALLOW nor DENY: the command has no effect
	SecondAction         Name = "SecondAction"         // two commands that allow or deny: Okta does not document which one counts
	ErrorOnAllow         Name = "ErrorOnAllow"         // an error beside ALLOW: the registration fails
	ErrorWithoutDeny     Name = "ErrorWithoutDeny"     // an error without DENY: the registration fails, but only because of the error
	MisspeltMember       Name = "MisspeltMember"       // a member with the wrong case, such as Error: Okta does not read it
	UnknownMember        Name = "UnknownMember"        // a member that Okta does not read
	DenyWithoutError     Name = "DenyWithoutError"     // DENY without error: the person reads a generic text
	ErrorForm            Name = "ErrorForm"            // the error lacks a summary or causes: the person reads a generic text
	CauseForm            Name = "CauseForm"            // a cause lacks a member or has a wrong value
	CauseElsewhere       Name = "CauseElsewhere"       // a cause whose location is not an attribute: Okta does not show it
	UpdateForOtherShape  Name = "UpdateForOtherShape"  // a profile update for another kind of call: it has no effect
	UpdateWithoutEffect  Name = "UpdateWithoutEffect"  // a profile update that sets no attribute
	UpdateBesideDeny     Name = "UpdateBesideDeny"     // profile updates beside a denial: Okta ignores them
	DebugContextNoObject Name = "DebugContextNoObject" // debugContext is not an object
)

// Level is the severity of a fault.
type Level string

const (
	// LevelError: Okta cannot use the hook or its answer, or handles it differently than intended.
	LevelError Level = "error"
	// LevelWarning: the hook works now, or the decision stands and only the text or another effect is lost.
	LevelWarning Level = "warning"
)

// Definition defines a fault.
type Definition struct {
	// Name is the name of the fault.
	Name Name
	// Level is the severity of the fault.
	Level Level
	// Meaning says in one line what is wrong.
	Meaning string
	// Fix says what to do.
	Fix string
}

// Definitions returns all faults in the order in which a call meets them.
func Definitions() []Definition {
	return slices.Concat(connectionFaults, callFaults, answerFaults)
}

func definition(name Name) Definition {
	for _, d := range Definitions() {
		if d.Name == name {
			return d
		}
	}
	return Definition{Name: name, Level: LevelError}
}

// connectionFaults are the faults of the URL, the connection and the certificate.
var connectionFaults = []Definition{
	{PlainHTTP, LevelWarning, "the URL is http, to this machine: Okta calls https only",
		"This is enough for a test on one machine. Before Okta calls, put https in front of it, with a certificate of a public CA."},
	{NotHTTPS, LevelError, "the URL is http: Okta calls https only",
		"Use https, with a certificate of a public CA. To check the hook behind its proxy, use --plain-http."},
	{NameNotFound, LevelError, "the host name is not in DNS",
		"Create the DNS record, or correct the name; a new record may take a while to be visible."},
	{NameLookupFailed, LevelError, "DNS did not answer, or answered with an error",
		"Try again, and check the zone's name servers; until then, --resolve calls a given address."},
	{NoIPv4, LevelError, "the host has no IPv4 address: Okta calls over IPv4",
		"Add an A record, with an IPv4 address of the load balancer."},
	{PrivateAddress, LevelWarning, "the host's address is not public: Okta cannot reach it from the internet",
		"Publish a public address for the name. If this is only the internal view of DNS, use --resolve to call the public address."},
	{ConnectionRefused, LevelError, "nothing listens on the port",
		"Check the port, the load balancer's listener and the Service behind it."},
	{Unreachable, LevelError, "the address cannot be reached",
		"Check the address in DNS, the routes and the network you call from."},
	{ConnectTimeout, LevelError, "no connection in time: something drops the packets",
		"Check the firewall, the load balancer's security group and the NetworkPolicy."},
	{ConnectionBroken, LevelError, "the connection broke before the answer was complete",
		"Check the logs of the hook and of the proxy in front of it for a crash, a limit, or a protocol mismatch."},
	{NotTLS, LevelError, "the port does not speak TLS",
		"Call the port that speaks TLS, or let the proxy terminate TLS on this one."},
	{TLSTooOld, LevelError, "the server does not support TLS 1.2 or later",
		"Enable TLS 1.2 or 1.3."},
	{ClientCertificateRequired, LevelError, "the server requires a client certificate, which Okta does not have",
		"Disable client certificates for the hook's host; the credential in the header authenticates the caller."},
	{HandshakeFailed, LevelError, "the TLS handshake failed",
		"Check the proxy's log and TLS settings: often it has no certificate for this host name."},
	{CertificateExpired, LevelError, "a certificate has expired",
		"Renew it, and check that the server uses the new one."},
	{CertificateNotYetValid, LevelError, "a certificate is not valid yet",
		"Wait, or check the clocks of the issuer and of this machine."},
	{CertificateExpiresSoon, LevelWarning, "a certificate expires soon and was not renewed",
		"Check the program that renews it."},
	{CertificateName, LevelError, "the certificate is for other host names",
		"Call a host that it names, or get one for this host; an Ingress without its TLS Secret serves a default certificate."},
	{CertificateInvalid, LevelError, "the certificate is not valid for a server",
		"Get a certificate for servers from a public CA."},
	{SelfSigned, LevelError, "the certificate is self-signed: public clients do not trust it",
		"Get one of a public CA; an Ingress without its TLS Secret serves a self-signed default certificate."},
	{IncompleteChain, LevelError, "the server does not send the intermediate certificates",
		"Serve the full chain (often fullchain.pem): the host's certificate first, then each issuer except the root."},
	{UnknownAuthority, LevelError, "public clients do not trust the CA",
		"Get a certificate of a public CA. To check with a private CA, use --ca-file."},
	{PrivateAuthority, LevelWarning, "trusted only because of --ca-file: Okta probably trusts only public CAs",
		"Get a certificate of a public CA before Okta calls."},
}

// callFaults are the faults of the call.
var callFaults = []Definition{
	{Timeout, LevelError, "no complete answer in the time that Okta waits",
		"Answer from memory: check what the hook waits for. The three seconds include the time to connect."},
	{Slow, LevelWarning, "the answer took more than half of the time that Okta waits",
		"Answer from memory; slow answers also use up the calls that an org may make at once."},
	{AnsweredOnRetry, LevelWarning, "the first attempt failed, a later one was answered",
		"Check what failed first: a replica that was not ready, a rolling restart, a dead address behind the name."},
	{Redirect, LevelError, "the hook redirects, which Okta does not follow",
		"Give Okta the final URL, or disable the redirect for the hook's path; a slash at the end often causes one."},
	{BadRequest, LevelError, "400: the hook cannot read the call",
		"Check the hook's log, and whether a proxy changes the body."},
	{Unauthorized, LevelError, "401: the hook got no credential, or refused it",
		"Make the header's name and value in Okta and in the hook identical."},
	{Forbidden, LevelError, "403: something refused the call",
		"Check the web application firewall, IP address lists and authorisation in front of the hook."},
	{PathNotFound, LevelError, "404: nothing is served at the path",
		"Compare the path with the hook's own and with the Ingress; a slash at the end counts."},
	{MethodNotAllowed, LevelError, "405: the path does not accept POST",
		"Compare the path with the hook's own; Okta always posts."},
	{RequestTimeout, LevelError, "408: the server did not wait for the body",
		"Check the proxy's timeouts."},
	{PayloadTooLarge, LevelError, "413: the server does not accept a body of this size",
		"Allow bodies of 64 KiB at the proxy; Okta's have a few KiB at most."},
	{UnsupportedMediaType, LevelError, "415: the hook does not accept application/json",
		"Accept application/json without a charset."},
	{TooManyRequests, LevelError, "429: a rate limit",
		"Exempt Okta from the limit, or raise it: an org makes up to 75 calls at once."},
	{NoBackend, LevelError, "502, 503, 504: the hook is not ready, or the proxy has no ready hook",
		"Check the hook's readiness, and the Service's port and endpoints."},
	{ServerError, LevelError, "5xx: the hook failed",
		"Check the hook's log."},
	{UnexpectedStatus, LevelError, "a status that Okta's documentation does not mention",
		"Answer 200, or 204 without a body to allow."},
	{Unauthenticated, LevelError, "the hook answers callers without the right credential",
		"Make the hook compare the header with the whole secret, and answer 401 if it differs or is missing."},
}

// answerFaults are the faults of the answer's header and body.
var answerFaults = []Definition{
	{AnswerTooLarge, LevelError, "256 KB or more: Okta refuses it",
		"Answer only with commands, error and debugContext."},
	{EmptyBody, LevelError, "200 without a body: Okta takes it for a failure",
		"Answer with a command, or with status 204 to allow."},
	{NotJSON, LevelError, "the body is not a JSON object",
		"Answer with a JSON object; an HTML page usually comes from a proxy or a login page in between."},
	{DuplicateMember, LevelError, "a duplicate member: programs differ in which one they read",
		"Write each member once."},
	{ContentType, LevelWarning, "the Content-Type is not application/json",
		"Send Content-Type: application/json."},
	{UnreadableCommands, LevelError, "commands is not a list of objects",
		`Write "commands": [{"type": …, "value": {…}}].`},
	{NoCommand, LevelError, "no command that Okta knows: Okta ALLOWS by default",
		`Always send com.okta.action.update with {"registration": "ALLOW"} or "DENY".`},
	{CommandName, LevelError, "a command whose name Okta does not know: it has no effect",
		"Write com.okta.action.update; com.action.update in some examples is wrong."},
	{RegistrationValue, LevelError, "registration is neither ALLOW nor DENY: the command has no effect",
		"Write ALLOW or DENY, in capitals."},
	{SecondAction, LevelError, "two commands that allow or deny: Okta does not document which one counts",
		"Send one com.okta.action.update."},
	{ErrorOnAllow, LevelError, "an error beside ALLOW: the registration fails",
		"Omit the member error if you allow; even an empty or null one counts."},
	{ErrorWithoutDeny, LevelError, "an error without DENY: the registration fails, but only because of the error",
		"Send DENY and error together."},
	{MisspeltMember, LevelError, "a member with the wrong case, such as Error: Okta does not read it",
		"Write commands, error, debugContext."},
	{UnknownMember, LevelWarning, "a member that Okta does not read",
		"Omit it; write what administrators should see to debugContext."},
	{DenyWithoutError, LevelWarning, "DENY without error: the person reads a generic text",
		"Send error with errorSummary and one cause, with the same sentence in both."},
	{ErrorForm, LevelWarning, "the error lacks a summary or causes: the person reads a generic text",
		"Send errorSummary and errorCauses, with the same sentence in the summary and the cause."},
	{CauseForm, LevelWarning, "a cause lacks a member, or has a value that Okta handles differently",
		"Send all five: errorSummary, reason (not UNIQUE_CONSTRAINT), locationType body, location, domain end-user."},
	{CauseElsewhere, LevelWarning, "a cause whose location is not an attribute: Okta does not show it",
		"Write location data.userProfile.<attribute>, also for a progressive profile."},
	{UpdateForOtherShape, LevelError, "a profile update for another kind of call: it has no effect",
		"Sign-up: com.okta.user.profile.update; progressive profile: com.okta.user.progressive.profile.update."},
	{UpdateWithoutEffect, LevelWarning, "a profile update that sets no attribute",
		`Write "value": {"<attribute>": …}, or omit the command.`},
	{UpdateBesideDeny, LevelWarning, "profile updates beside a denial: Okta ignores them",
		"Omit them from a denial."},
	{DebugContextNoObject, LevelWarning, "debugContext is not an object",
		"Write an object; administrators see it in the System Log."},
}
