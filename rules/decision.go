package rules

import (
	"iter"
	"strconv"
)

// Outcome is what Okta is told. The zero value is Deny.
type Outcome uint8

const (
	// Deny turns the person away.
	Deny Outcome = iota
	// Allow lets the person come in.
	Allow
)

// String returns ALLOW or DENY, as in Okta's com.okta.action.update.
func (o Outcome) String() string {
	if o == Allow {
		return "ALLOW"
	}
	return "DENY"
}

// Reason says why a decision is as it is. The set is closed, and part of the product's API.
type Reason string

const (
	// ReasonAllowed: one policy allows every address of the call, and none denies any.
	ReasonAllowed Reason = "Allowed"
	// ReasonNoAddressChanged: a progressive profile that changes no address; allowed unchanged, whatever the policies say.
	ReasonNoAddressChanged Reason = "NoAddressChanged"
	// ReasonDenied: a policy denies an address of the call.
	ReasonDenied Reason = "Denied"
	// ReasonNotAllowed: policies apply, and none of them allows every address of the call.
	ReasonNotAllowed Reason = "NotAllowed"
	// ReasonNoPolicyApplies: there is no policy in mode Enforce for this request type and source.
	ReasonNoPolicyApplies Reason = "NoPolicyApplies"
	// ReasonInvalidAddress: an address attribute holds something that is not an address.
	ReasonInvalidAddress Reason = "InvalidAddress"
	// ReasonMissingAddress: the required address attribute is absent, null or empty.
	ReasonMissingAddress Reason = "MissingAddress"
	// ReasonUnrecognisedCall: another event, or data without a profile.
	ReasonUnrecognisedCall Reason = "UnrecognisedCall"
	// ReasonPolicyNotEnforceable: a policy that applies cannot be enforced as it is written.
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

// Code is the machine-readable word that reaches the person's browser. It is coarser than the reason: it tells a stranger
// nothing about the rules.
type Code string

const (
	// CodeNotAllowed: this address may not sign up.
	CodeNotAllowed Code = "EMAIL_NOT_ALLOWED"
	// CodeInvalid: this is not an address.
	CodeInvalid Code = "EMAIL_INVALID"
	// CodeUnavailable: nobody could sign up this way at present.
	CodeUnavailable Code = "REGISTRATION_UNAVAILABLE"
)

// Code returns the code for a denial of this reason, and "" for the reasons that allow.
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

// Decision is what was decided about one call, and all that its answer, its log line and an explanation need. It holds no
// local part and no raw input.
type Decision struct {
	// Outcome is what the policies say. What Okta is told is Answer.
	Outcome Outcome
	Reason  Reason
	// Policy is the policy that decided: the first, by name, of those that denied or that allowed, or that cannot be
	// enforced. It is zero where none did.
	Policy PolicyName
	// Entry is the entry of that policy that matched; zero where none did.
	Entry Entry
	// Attribute is the first address attribute that failed; "" for an allow, and where the call has none. For ReasonDenied
	// it is the first that any policy denies, Policy's or not.
	Attribute string
	// Domain is the domain of the address at Attribute, or of the first address of an allowed call; zero where there is
	// none, or where it did not parse.
	Domain Domain
	// Invalid is what is wrong with the attribute, and InvalidLength its length in bytes, for ReasonInvalidAddress.
	Invalid       Invalid
	InvalidLength int
	// Message is the text that a policy has for the person; "" means the built-in one (see Texts).
	Message string
	// Profile holds the attributes to set on the new user, sorted by name. It must not be changed.
	Profile []ProfileAttribute
	// TookPart is the number of policies in mode Enforce whose appliesTo matches the call. For shape Both it counts those
	// of the request type that decided.
	TookPart int
	// Audit holds the policies in mode Audit that would each have changed the outcome, had it alone been in Enforce.
	Audit []AuditOutcome
	// Observed says that the operator only observes: the answer is an allow without updates.
	Observed bool

	matched matchedPolicies
}

// Answer is the outcome that Okta is told.
func (d *Decision) Answer() Outcome {
	if d.Observed {
		return Allow
	}
	return d.Outcome
}

// Matched yields every policy, in any mode, that had a verdict on an address of the call, decisive or not.
func (d *Decision) Matched() iter.Seq[PolicyName] {
	return d.matched.names
}

// AuditOutcome is what the outcome of a call would have been, had one policy in mode Audit been in mode Enforce.
type AuditOutcome struct {
	// Policy is the policy in mode Audit.
	Policy PolicyName
	// Outcome is what Okta would have been told, and Reason why.
	Outcome Outcome
	Reason  Reason
}

// EntryField is the list of a policy that an entry stands in. The zero value means none.
type EntryField uint8

// The lists of a policy: NoEntry is none, and DenyAddresses, AllowAddresses, DenyDomains,
// AllowDomains, AllowPublicSuffixes, DenyLists and AllowLists are the members of spec.deny and spec.allow.
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

// String returns the list's path in the object, for example spec.allow.domains.
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

// Entry names one entry of a policy by its place, so that no local part is ever shown.
type Entry struct {
	// Field is the list, and Index the place in it, from 0.
	Field EntryField
	Index int
}

// String returns the entry's path, for example spec.allow.addresses[3], and "" for the zero value.
func (e Entry) String() string {
	if e.Field == NoEntry {
		return ""
	}
	return e.Field.String() + "[" + strconv.Itoa(e.Index) + "]"
}
