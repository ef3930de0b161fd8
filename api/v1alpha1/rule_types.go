package v1alpha1

// CEL rules check the form of an entry, because only their messages can say what to write instead. The patterns are for
// editors and check only the characters. The maximum lengths keep the estimated cost of the CEL rules within the limit
// of the API server.

// Mode says whether a policy decides.
//
// +kubebuilder:validation:Enum=Enforce;Audit
type Mode string

const (
	// ModeEnforce is the mode of a policy that decides. It is the default.
	ModeEnforce Mode = "Enforce"
	// ModeAudit is the mode of a policy that is only evaluated.
	ModeAudit Mode = "Audit"
)

// RequestType is the type of a request, as Okta names it.
//
// +kubebuilder:validation:Enum=SelfServiceRegistration;ProgressiveProfile
type RequestType string

const (
	// RequestTypeSelfServiceRegistration is the sign-up of a new user, Okta Classic's included.
	RequestTypeSelfServiceRegistration RequestType = "SelfServiceRegistration"
	// RequestTypeProgressiveProfile is a change to the profile of an existing user.
	RequestTypeProgressiveProfile RequestType = "ProgressiveProfile"
)

// Source is the id of an enrollment policy or rule of Okta, for example rul1bufGk5dJdRYw50g4. Ids are compared byte
// by byte.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=64
// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_-]+$`
type Source string

// AllowDomain is a domain (acme.com), "*." and a domain for everything below it at any depth, or "*" for every valid
// domain. The letter case of ASCII is ignored. An internationalized label is compared as its A-label (RFC 5890).
//
// The schema cannot check whether a label is invalid under IDNA, or whether a domain is a public suffix. The operator
// checks both. Such an entry allows nothing, and the condition Accepted names it.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:Pattern=`^[\p{L}\p{M}\p{Nd}.*-]+$`
// +kubebuilder:validation:XValidation:rule=`!self.matches(r"^$|[^\p{L}\p{M}\p{Nd}.*-]|(^|\.)[-.]|[-.]$|-\.|[^.]{64}|.\*|\*[^.]")`,message="write a domain: acme.com for exactly that one, \"*.acme.com\" for everything below it, \"*\" for every domain; without @, scheme, path, port, spaces, underscores, or a dot at either end (a whole address goes into allow.addresses)"
// +kubebuilder:validation:XValidation:rule=`!self.matches(r"(?i)(^|\.)([^x.][^.]|x[^n.])--|(^|\.)([0-9]+|0x[0-9a-f]*)$")`,message="write the name of a domain: the last label must not be a number, and \"--\" as a label's third and fourth character is for those that begin with xn--"
// +kubebuilder:validation:XValidation:rule=`!self.matches("[\u037A\u04C0\u10A0-\u10C5\u115F\u1160\u17B4\u17B5\u2132\u2183\u3164\uFC5E-\uFC63\uFDFA\uFDFB\uFE70\uFE72\uFE74\uFE76\uFE78\uFE7A\uFE7C\uFE7E\uFFA0\U0002F868\U0002F874\U0002F91F\U0002F95F\U0002F9BF]")`,message="write the letters that the domain is registered with, or its A-label (xn--…): one of these is invisible, or has no reading as a part of a domain"
type AllowDomain string

// DenyDomain has one of four forms. acme.com is the domain and everything below it, and *.acme.com only what is below.
// ru is a whole top-level domain, and * is everything. It is compared like an AllowDomain. If a label is a different
// name in IDNA 2003 than in IDNA 2008, both names are denied.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:Pattern=`^[\p{L}\p{M}\p{Nd}.*-]+$`
// +kubebuilder:validation:XValidation:rule=`!self.matches(r"^$|[^\p{L}\p{M}\p{Nd}.*-]|(^|\.)[-.]|[-.]$|-\.|[^.]{64}|.\*|\*[^.]")`,message="write a domain: acme.com for it and everything below, \"*.acme.com\" for only what is below, ru for a whole top-level domain, \"*\" for everything; without @, scheme, path, port, spaces, underscores, or a dot at either end (a whole address goes into deny.addresses)"
// +kubebuilder:validation:XValidation:rule=`!self.matches(r"(?i)(^|\.)([^x.][^.]|x[^n.])--|(^|\.)([0-9]+|0x[0-9a-f]*)$")`,message="write the name of a domain: the last label must not be a number, and \"--\" as a label's third and fourth character is for those that begin with xn--"
// +kubebuilder:validation:XValidation:rule=`!self.matches("[\u037A\u04C0\u10A0-\u10C5\u115F\u1160\u17B4\u17B5\u2132\u2183\u3164\uFC5E-\uFC63\uFDFA\uFDFB\uFE70\uFE72\uFE74\uFE76\uFE78\uFE7A\uFE7C\uFE7E\uFFA0\U0002F868\U0002F874\U0002F91F\U0002F95F\U0002F9BF]")`,message="write the letters that the domain is registered with, or its A-label (xn--…): one of these is invisible, or has no reading as a part of a domain"
type DenyDomain string

// MailAddress is a mail address in the plain form that all mail systems read alike: an ASCII dot-atom (RFC 5322
// 3.2.3), one @, and a domain of two or more labels. The letter case of ASCII is ignored. The only pattern is
// jo+*@acme.com: jo@acme.com and all of its sub-addresses, such as jo+news@acme.com. Elsewhere the characters
// *?{}|^$% and a + after a dot are refused: pattern languages use them, real addresses do not.
//
// +kubebuilder:validation:MinLength=3
// +kubebuilder:validation:MaxLength=254
// +kubebuilder:validation:Pattern=`^[^@\s]+@[^@\s]+$`
// +kubebuilder:validation:XValidation:rule=`self.matches(r"^([^@+*?{}|^$%]+\+\*|[^@*?{}|^$%]*)(@|$)") && !self.contains(".+")`,message="an address is no pattern: for every address of a domain, write the domain into domains (acme.com); for one address with all its sub-addresses, write jo+*@acme.com; without *?{}|^$% elsewhere, and without .+"
// +kubebuilder:validation:XValidation:rule=`!self.matches(r"^[^@]*[^A-Za-z0-9.#$%&'*+/=?^_{|}~@-]|^[.@]|^[^@]*\.[.@]|^[^@]*$") && self.indexOf("@") <= 64`,message="write a plain address such as jo@acme.com: what is left of the @ has at most 64 letters, digits, single inner dots and #&'+-/=_~; no display name, quotes, comments or spaces"
// +kubebuilder:validation:XValidation:rule=`!self.matches(r"@.*[^\p{L}\p{M}\p{Nd}.-]") && self.matches(r"^[^@]+@[^@.-]([^@.]{0,61}[^@.-])?(\.[^@.-]([^@.]{0,61}[^@.-])?)+$") && !self.matches(r"(?i)[@.]([^x.][^.]|x[^n.])--|[@.]([0-9]+|0x[0-9a-f]*)$")`,message="write a domain of two or more labels right of the @, such as acme.com: no wildcard, no underscore, no number or dot at the end (whole domains go into domains)"
// +kubebuilder:validation:XValidation:rule=`!self.matches("[\u037A\u04C0\u10A0-\u10C5\u115F\u1160\u17B4\u17B5\u2132\u2183\u3164\uFC5E-\uFC63\uFDFA\uFDFB\uFE70\uFE72\uFE74\uFE76\uFE78\uFE7A\uFE7C\uFE7E\uFFA0\U0002F868\U0002F874\U0002F91F\U0002F95F\U0002F9BF]")`,message="write the letters that the domain is registered with, or its A-label (xn--…): one of these is invisible, or has no reading as a part of a domain"
type MailAddress string

// Message is one line of plain text for a person that a policy denies, without control characters and <. {id} is
// replaced by the id of the decision, which is also in the operator's log.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=300
// +kubebuilder:validation:XValidation:rule=`self.matches(r"^[^<\p{Cc}\p{Zl}\p{Zp}]*[^<\p{Cc}\p{Z}][^<\p{Cc}\p{Zl}\p{Zp}]*$")`,message="write one line of plain text, without line breaks, control characters and <"
type Message string

// AttributeName is the variable name of an attribute of Okta's user profile. The attributes by which a person signs
// in or is reached cannot be set.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=59
// +kubebuilder:validation:Pattern=`^[a-zA-Z][a-zA-Z0-9_]*$`
// +kubebuilder:validation:XValidation:rule="!(self.lowerAscii() in ['login', 'email', 'password', 'secondemail', 'mobilephone', 'primaryphone'])",message="write another attribute: login, email, password, secondEmail, mobilePhone and primaryPhone are not set by a policy"
type AttributeName string

// ObjectName is the name of a Kubernetes object: a DNS subdomain (RFC 1123).
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
type ObjectName string

// ListReferenceName is the name of a reference to a list: a DNS label (RFC 1123).
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
type ListReferenceName string

// ConfigMapKey is a key of a ConfigMap.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
type ConfigMapKey string
