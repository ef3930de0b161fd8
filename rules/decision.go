package rules

import (
	"iter"
	"strconv"
)

// Outcome allows or denies a registration. The zero value is Deny.
type Outcome uint8

const (
	// Deny denies the registration.
	Deny Outcome = iota
	// Allow allows the registration.
	Allow
)

// String returns ALLOW or DENY, as in Okta's com.okta.action.update.
func (o Outcome) String() string {
	if o == Allow {
		return "ALLOW"
	}
	return "DENY"
}

// Reason says why a decision was made. The set is closed, and part of the product's API.
type Reason string

const (
	// ReasonAllowed: one policy allows every address of the call, and no policy denies an address of it.
	ReasonAllowed Reason = "Allowed"
	// ReasonNoAddressChanged: an update of a profile that changes no address. It is allowed without profile attributes,
	// whatever the policies say.
	ReasonNoAddressChanged Reason = "NoAddressChanged"
	// ReasonDenied: a policy denies an address of the call.
	ReasonDenied Reason = "Denied"
	// ReasonNotAllowed: policies apply, and none of them allows every address of the call.
	ReasonNotAllowed Reason = "NotAllowed"
	// ReasonNoPolicyApplies: there is no policy in mode Enforce for this request type and source.
	ReasonNoPolicyApplies Reason = "NoPolicyApplies"
	// ReasonInvalidAddress: an address attribute has a value that is not an address.
	ReasonInvalidAddress Reason = "InvalidAddress"
	// ReasonMissingAddress: the required address attribute is absent, null or empty.
	ReasonMissingAddress Reason = "MissingAddress"
	// ReasonUnrecognisedCall: the call is for another event than a registration, or its data have no profile.
	ReasonUnrecognisedCall Reason = "UnrecognisedCall"
	// ReasonPolicyNotEnforceable: a policy that applies to the call was not understood, or lacks a list by which it
	// denies.
	ReasonPolicyNotEnforceable Reason = "PolicyNotEnforceable"
)

// Reasons returns every reason, in the order of the documentation.
func Reasons() []Reason {
	return []Reason{
		ReasonAllowed, ReasonNoAddressChanged,
		ReasonDenied, ReasonNotAllowed, ReasonNoPolicyApplies, ReasonInvalidAddress, ReasonMissingAddress,
		ReasonUnrecognisedCall, ReasonPolicyNotEnforceable,
	}
}

// Code is the machine-readable word that Okta passes on to the person's browser. Several reasons share a code: a code
// for each would reveal details of the policies to anyone who tries to register.
type Code string

const (
	// CodeNotAllowed: this address may not sign up.
	CodeNotAllowed Code = "EMAIL_NOT_ALLOWED"
	// CodeInvalid: the value is not an address.
	CodeInvalid Code = "EMAIL_INVALID"
	// CodeUnavailable: no registration of this kind is possible at present.
	CodeUnavailable Code = "REGISTRATION_UNAVAILABLE"
)

// Code returns the code for a denial with this reason, or "" for the reasons that allow.
func (r Reason) Code() Code {
	switch r {
	case ReasonAllowed, ReasonNoAddressChanged:
		return ""
	case ReasonDenied, ReasonNotAllowed:
		return CodeNotAllowed
	case ReasonInvalidAddress, ReasonMissingAddress:
		return CodeInvalid
	default:
		return CodeUnavailable
	}
}

// Decision is the decision on one call, with all that the answer to Okta and the log line need. It holds no local part
// and no value of the call except a parsed domain.
type Decision struct {
	// Outcome is what the policies decide, and Reason why. [Decision.Answer] is what Okta gets.
	Outcome Outcome
	Reason  Reason
	// Policy is the policy that decided. If several policies give Reason, it is the first of them by name. It is zero if
	// no policy decided, as for ReasonNotAllowed.
	Policy PolicyName
	// Entry is the entry of that policy that matched, or zero.
	Entry Entry
	// Attribute is the first address attribute that failed. It is "" for an allow, and for a call without address
	// attributes. For ReasonDenied it is the first attribute that any policy denies, not only the one in Policy.
	Attribute string
	// Domain is the domain of the address at Attribute, or of the first address of an allowed call. It is zero if the
	// call has no address, or if the address is not valid.
	Domain Domain
	// Invalid says what is wrong with the value of Attribute, and InvalidLength is the length of the value in bytes.
	// Both are set for ReasonInvalidAddress only.
	Invalid       Invalid
	InvalidLength int
	// Message is the text for the person. It is that of the policy that denies or, for ReasonNotAllowed, that of the
	// policy with allow entries, if only one applies. "" means the built-in text (see [Texts]).
	Message string
	// Profile holds the attributes to set on the user, sorted by name. The caller must not change it: it belongs to the
	// snapshot.
	Profile []ProfileAttribute
	// TookPart is the number of policies in mode Enforce whose appliesTo matches the call. A call of the shape Both is
	// decided as a sign-up and as an update; TookPart is that of the decision that gave the outcome.
	TookPart int
	// Audit holds the policies in mode Audit that would each have changed the outcome if that policy alone were in mode
	// Enforce.
	Audit []AuditOutcome
	// Observed: the operator runs with --observe, so Okta gets an allow without profile attributes, whatever Outcome is.
	Observed bool

	matched matchedPolicies
}

// Answer returns the outcome that Okta gets.
func (d *Decision) Answer() Outcome {
	if d.Observed {
		return Allow
	}
	return d.Outcome
}

// Matched yields every policy, in either mode, that allows or denies some address of the call, even if another policy
// gave the outcome.
func (d *Decision) Matched() iter.Seq[PolicyName] {
	return d.matched.names
}

// AuditOutcome is the outcome of a call if one policy in mode Audit were in mode Enforce.
type AuditOutcome struct {
	// Policy is the policy in mode Audit.
	Policy PolicyName
	// Outcome is what Okta would have got, and Reason says why.
	Outcome Outcome
	Reason  Reason
}

// EntryField is the field of a policy that an entry is in. The zero value means none.
type EntryField uint8

// The fields of a policy that hold entries: DenyAddresses is spec.deny.addresses, AllowAddresses is
// spec.allow.addresses, and so on for DenyDomains, AllowDomains, AllowPublicSuffixes, DenyLists and AllowLists. NoEntry
// means none of them.
const (
	NoEntry EntryField = iota
	DenyAddresses
	AllowAddresses
	DenyDomains
	AllowDomains
	AllowPublicSuffixes
	DenyLists
	AllowLists
)

// String returns the field's path in the object, for example spec.allow.domains.
func (f EntryField) String() string {
	switch f {
	case DenyAddresses:
		return "spec.deny.addresses"
	case AllowAddresses:
		return "spec.allow.addresses"
	case DenyDomains:
		return "spec.deny.domains"
	case AllowDomains:
		return "spec.allow.domains"
	case AllowPublicSuffixes:
		return "spec.allow.publicSuffixes"
	case DenyLists:
		return "spec.deny.lists"
	case AllowLists:
		return "spec.allow.lists"
	default:
		return ""
	}
}

// Entry identifies one entry of a policy by its field and index. It does not hold the entry's text, which may be an
// address.
type Entry struct {
	// Field is the field that the entry is in, and Index the position in that field, counted from 0.
	Field EntryField
	Index int
}

// String returns the entry's path, for example spec.allow.addresses[3], or "" for the zero value.
func (e Entry) String() string {
	if e.Field == NoEntry {
		return ""
	}
	return e.Field.String() + "[" + strconv.Itoa(e.Index) + "]"
}
