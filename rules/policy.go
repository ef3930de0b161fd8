package rules

import "strings"

// PolicyName identifies a policy. Wherever policies have an order, it is this: by namespace, then by name, bytewise.
type PolicyName struct {
	// Namespace and Name are those of the object.
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

// Compare returns -1, 0 or 1, as n comes before, at or after o.
func (n PolicyName) Compare(o PolicyName) int {
	if c := strings.Compare(n.Namespace, o.Namespace); c != 0 {
		return c
	}
	return strings.Compare(n.Name, o.Name)
}

// Mode says whether a policy decides or is only evaluated.
type Mode string

const (
	// Enforce is the mode of a policy that decides. It is what an unset mode means.
	Enforce Mode = "Enforce"
	// Audit is the mode of a policy that never decides: decisions say what it would have changed.
	Audit Mode = "Audit"
)

// RequestType is what a call asks for. It is told by the data that the call holds, not by what it says of itself.
type RequestType string

const (
	// SelfServiceRegistration is the sign-up of a new user, Classic ones included.
	SelfServiceRegistration RequestType = "SelfServiceRegistration"
	// ProgressiveProfile is an existing user's addition to, or change of, his profile.
	ProgressiveProfile RequestType = "ProgressiveProfile"
)

// Policy is one policy as its author wrote it: the entries are unparsed text. [Compile] says what is wrong with them.
type Policy struct {
	PolicyName

	// Mode is Enforce when unset. Any other unknown value makes the policy not enforceable.
	Mode Mode
	// RequestTypes are the request types that the policy applies to; empty means all.
	// An unknown one makes the policy not enforceable, for every call.
	RequestTypes []RequestType
	// Sources are the values of Okta's `source` that the policy applies to, compared bytewise; empty means all.
	Sources []string

	// Allow and Deny are the entries.
	Allow AllowRules
	Deny  DenyRules

	// Profile holds the attributes that Okta sets on a user whom this policy allows.
	Profile []ProfileAttribute
	// ProfileOn are the request types on which Profile is sent; empty means SelfServiceRegistration alone.
	ProfileOn []RequestType
	// Message is the text for a person whom this policy turns away; empty means the built-in text.
	Message string

	// NotUnderstood says why the object that this policy was read from could not be understood; "" means that it was.
	// Such a policy is not enforceable: in mode Enforce, the calls that it applies to are denied.
	NotUnderstood string
}

// AllowRules are the entries that allow. All empty allows nothing.
type AllowRules struct {
	// Domains are exact domains, "*." wildcards (below the name, at any depth, never the name itself), or "*".
	Domains []string
	// PublicSuffixes are the same; only here may an entry be, or cover, a public suffix (https://publicsuffix.org).
	PublicSuffixes []string
	// Addresses are whole addresses.
	Addresses []string
	// Lists are lists of entries, which allow after everything that is written by hand but for "*".
	Lists []ListUse
}

func (a AllowRules) empty() bool {
	return len(a.Domains) == 0 && len(a.PublicSuffixes) == 0 && len(a.Addresses) == 0 && len(a.Lists) == 0
}

// DenyRules are the entries that deny. All empty denies nothing.
type DenyRules struct {
	// Domains are names (the name and everything below it), "*." wildcards (only below), a top-level domain, or "*".
	Domains []string
	// Addresses are whole addresses.
	Addresses []string
	// Lists are lists of entries, which deny after everything that is written by hand but for allow "*".
	Lists []ListUse
}

// ListUse is a list as a policy uses it.
type ListUse struct {
	// Name is that of the ConfigMap that holds the list, in the policy's namespace; Key is the one of its keys that is meant, ""
	// for all.
	Name string
	Key  string
	// Optional says that a policy is in force without the list too.
	Optional bool
	// List is the list; nil means that it is missing. One with a fault counts as missing. JSON leaves it out: see [List.Encode].
	List *List `json:"-"`
	// Missing says, for people, why List is nil; "" means that it was not found.
	Missing string
	// Broken says that it is nil because what was found cannot be used.
	Broken bool
	// OverBudget says that it is nil because it is too large for what its namespace may take in memory.
	OverBudget bool
}

// String names the list as an author does: the ConfigMap, and the key if one is meant.
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
	// Value is JSON text: a string, number, boolean, null, or a list of strings.
	Value string
}

// UsedList is a list as a policy names it.
type UsedList struct {
	ListUse
	// Entry is where it is named: an index in [AllowLists] or [DenyLists].
	Entry Entry
}

// UsedLists returns the lists that a policy names, those that allow first.
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
