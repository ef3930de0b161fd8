package rules

import "strings"

// PolicyName identifies a policy. Wherever policies have an order, it is by namespace, then by name, bytewise.
type PolicyName struct {
	// Namespace and Name are those of the RegistrationPolicy object.
	Namespace string
	Name      string
}

// String returns namespace/name, and "" for the zero value.
func (n PolicyName) String() string {
	if n == (PolicyName{}) {
		return ""
	}
	return n.Namespace + "/" + n.Name
}

// Compare returns -1, 0 or 1 if n is before o, the same, or after it.
func (n PolicyName) Compare(o PolicyName) int {
	if c := strings.Compare(n.Namespace, o.Namespace); c != 0 {
		return c
	}
	return strings.Compare(n.Name, o.Name)
}

// Mode says whether a policy decides, or only reports what it would decide.
type Mode string

const (
	// Enforce is the mode of a policy that decides. An unset mode means Enforce.
	Enforce Mode = "Enforce"
	// Audit is the mode of a policy that never decides. [Decision.Audit] says what the policy would have changed.
	Audit Mode = "Audit"
)

// RequestType is what a call asks for. It follows from the profiles in the call's data ([Call.Shape]), not from the
// call's member requestType, which may be wrong.
type RequestType string

const (
	// SelfServiceRegistration is the sign-up of a new user, in Okta Classic too.
	SelfServiceRegistration RequestType = "SelfServiceRegistration"
	// ProgressiveProfile is an existing user's update of their own profile.
	ProgressiveProfile RequestType = "ProgressiveProfile"
)

// Policy is one policy as its author wrote it, with entries as unparsed text. [Compile] rejects invalid entries.
type Policy struct {
	PolicyName

	// Mode is Enforce if unset. An unknown value makes the policy not enforceable.
	Mode Mode
	// RequestTypes are the request types that the policy applies to; empty means all.
	// If one of them is unknown, the policy applies to all request types and is not enforceable.
	RequestTypes []RequestType
	// Sources are the values of Okta's `source` that the policy applies to, compared bytewise; empty means all.
	Sources []string

	// Allow and Deny are the entries.
	Allow AllowRules
	Deny  DenyRules

	// Profile holds the attributes that Okta sets on a user if this policy allows the call.
	Profile []ProfileAttribute
	// ProfileOn are the request types on which Profile is sent; empty means SelfServiceRegistration alone.
	ProfileOn []RequestType
	// Message is the text for a person whose call this policy denies; empty means the built-in text.
	Message string

	// NotUnderstood says why the object of this policy could not be understood; "" means that it was understood. A
	// policy that was not understood is not enforceable: in mode Enforce, the calls that it applies to are denied.
	NotUnderstood string
}

// AllowRules are the entries that allow. Without an entry, the policy allows nothing.
type AllowRules struct {
	// Domains are exact domains, "*." wildcards (below the name, at any depth, never the name itself), or "*".
	Domains []string
	// PublicSuffixes have the forms of Domains. Only here may an entry be a public suffix (https://publicsuffix.org),
	// or match names below which there are public suffixes.
	PublicSuffixes []string
	// Addresses are whole addresses.
	Addresses []string
	// Lists are lists of entries. Every entry of the fields above has precedence over them, except "*".
	Lists []ListUse
}

func (a AllowRules) empty() bool {
	return len(a.Domains) == 0 && len(a.PublicSuffixes) == 0 && len(a.Addresses) == 0 && len(a.Lists) == 0
}

// DenyRules are the entries that deny. Without an entry, the policy denies nothing.
type DenyRules struct {
	// Domains are names, which also match everything below them, "*." wildcards, which match only what is below the
	// name, or "*". A name may be a top-level domain.
	Domains []string
	// Addresses are whole addresses.
	Addresses []string
	// Lists are lists of entries. Every other entry of the policy has precedence over them, except an allow of "*" and
	// the lists that allow.
	Lists []ListUse
}

// ListUse is a list as a policy uses it.
type ListUse struct {
	// Name is the ConfigMap of the list, in the policy's namespace, and Key one of its keys; "" means all keys.
	Name string
	Key  string
	// Optional: the policy is in force without the list if the list is missing. A missing list that denies and is not
	// optional makes the policy not enforceable.
	Optional bool
	// List is the compiled list; nil if it is missing. A list with a [List.Fault] counts as missing. The JSON of a policy
	// omits the list: a snapshot file stores each list once, in the form of [List.Encode].
	List *List `json:"-"`
	// Missing tells people why List is nil; "" means that it was not found.
	Missing string
	// Broken: List is nil although its ConfigMap exists, for example because a part of a divided list is missing. Such a
	// list is rejected even if it is optional.
	Broken bool
	// OverBudget: List is nil because it would exceed the memory that its namespace may take.
	OverBudget bool
}

// String returns the name of the ConfigMap, and /key if there is a key.
func (u ListUse) String() string {
	if u.Key == "" {
		return u.Name
	}
	return u.Name + "/" + u.Key
}

// ProfileAttribute is one attribute of Okta's user profile and the value to set.
type ProfileAttribute struct {
	// Name is the attribute's variable name in Okta, for example userType.
	Name string
	// Value is JSON text: a string, a number, a boolean, null, or an array of strings.
	Value string
}

// UsedList is a list together with the entry that names it.
type UsedList struct {
	ListUse
	// Entry has the field [AllowLists] or [DenyLists].
	Entry Entry
}

// UsedLists returns the lists that the policy names: first those of spec.allow, then those of spec.deny.
func (p *Policy) UsedLists() []UsedList {
	var used []UsedList
	for i, use := range p.Allow.Lists {
		used = append(used, UsedList{use, Entry{Field: AllowLists, Index: i}})
	}
	for i, use := range p.Deny.Lists {
		used = append(used, UsedList{use, Entry{Field: DenyLists, Index: i}})
	}
	return used
}
