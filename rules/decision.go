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
	// ReasonAllowed: one policy allows every address of the call, and none denies any.
	ReasonAllowed Reason = "Allowed"
	// ReasonNoAddressChanged: a progressive profile that changes no address; allowed without updates, regardless of the
	// policies.
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
	// ReasonUnrecognisedCall: another event, or data without a profile.
	ReasonUnrecognisedCall Reason = "UnrecognisedCall"
	// ReasonPolicyNotEnforceable: a policy that applies cannot be enforced as written.
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

// Code is the machine-readable word that reaches the person's browser. It is coarser than the reason, so that it
// reveals nothing about the rules.
type Code string

const (
	// CodeNotAllowed: this address may not sign up.
	CodeNotAllowed Code = "EMAIL_NOT_ALLOWED"
	// CodeInvalid: this is not an address.
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

// Decision is the decision on one call, with all that its answer, its log line and an explanation need. It holds no
// local part and no raw input.
type Decision struct {
	// Outcome is the outcome by the policies. Answer is the one that Okta gets.
	Outcome Outcome
	Reason  Reason
	// Policy is the policy that decided: the first, by name, of those that denied, that allowed, or that cannot be
	// enforced. It is zero if no policy decided.
	Policy PolicyName
	// Entry is the entry of that policy that matched, or zero.
	Entry Entry
	// Attribute is the first address attribute that failed; "" for an allow, and if the call has none. For ReasonDenied
	// it is the first that any policy denies, which may be another than Policy.
	Attribute string
	// Domain is the domain of the address at Attribute, or of the first address of an allowed call. It is zero if there
	// is none, or if it did not parse.
	Domain Domain
	// Invalid says what is wrong with the attribute, and InvalidLength is its length in bytes, for
	// ReasonInvalidAddress.
	Invalid       Invalid
	InvalidLength int
	// Message is the policy's text for the person; "" means the built-in one (see Texts).
	Message string
	// Profile holds the attributes to set on the new user, sorted by name. It must not be changed.
	Profile []ProfileAttribute
	// TookPart is the number of policies in mode Enforce whose appliesTo matches the call. A call that is both a
	// sign-up and an update of a profile is decided as each; TookPart then counts for the one that gave the outcome.
	TookPart int
	// Audit holds the policies in mode Audit that would each have changed the outcome if that policy alone were in mode
	// Enforce.
	Audit []AuditOutcome
	// Observed: the operator only observes, and the answer is an allow without updates.
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

// Matched yields every policy, in either mode, that had a verdict on an address of the call, decisive or not.
func (d *Decision) Matched() iter.Seq[PolicyName] {
	return d.matched.names
}

// AuditOutcome is the outcome of a call if one policy in mode Audit were in mode Enforce.
type AuditOutcome struct {
	// Policy is the policy in mode Audit.
	Policy PolicyName
	// Outcome is what Okta would have got, and Reason why.
	Outcome Outcome
	Reason  Reason
}

// EntryField is the field of a policy that an entry is in. The zero value means none.
type EntryField uint8

// The fields of a policy: NoEntry is none, and DenyAddresses, AllowAddresses, DenyDomains,
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

// Entry identifies one entry of a policy by its position, so that it reveals no local part.
type Entry struct {
	// Field is the field, and Index the position in it, from 0.
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
