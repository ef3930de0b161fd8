package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// RegistrationPolicy says who may register at Okta. Every policy in the namespaces that an operator watches decides for
// the whole Okta org of that operator: one that denies an address denies the registration, otherwise one must allow it.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=registrationpolicies,singular=registrationpolicy,shortName=regpol,scope=Namespaced
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].reason`
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type RegistrationPolicy struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what this policy says.
	// +required
	Spec RegistrationPolicySpec `json:"spec"`

	// status is what the operator says about this policy. No decision depends on it.
	// +optional
	// +kubebuilder:default={conditions: {{type: "Accepted", status: "Unknown", reason: "Pending", message: "No operator has looked at this policy yet. If it stays so, none watches this namespace: see the operator's flag --watch-namespaces.", lastTransitionTime: "1970-01-01T00:00:00Z"}}}
	Status RegistrationPolicyStatus `json:"status,omitzero"`
}

// RegistrationPolicyList is a list of policies.
//
// +kubebuilder:object:root=true
type RegistrationPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the policies.
	Items []RegistrationPolicy `json:"items"`
}

// RegistrationPolicySpec is what a policy says.
//
// +kubebuilder:validation:XValidation:rule="has(self.allow) || has(self.deny)",message="a policy must allow or deny something: write spec.allow, spec.deny or both"
type RegistrationPolicySpec struct {
	// mode is Enforce (the default), or Audit: such a policy never decides, and the log and the metrics say what it
	// would have changed.
	// +optional
	// +kubebuilder:default=Enforce
	Mode Mode `json:"mode,omitempty"`

	// appliesTo limits the calls that this policy has a say in. Omitted, it is every call.
	// +optional
	AppliesTo *AppliesTo `json:"appliesTo,omitempty"`

	// allow says who may register. A call is allowed if no policy denies it and one policy allows all of its addresses.
	// +optional
	Allow *Allow `json:"allow,omitempty"`

	// deny says who may not. Within a policy an address beats a domain, and deny beats allow on its level; but allow
	// "*" comes last. No other policy can make an exception from it.
	// +optional
	Deny *Deny `json:"deny,omitempty"`

	// profile holds attributes that Okta sets on a new user whom this policy allows. If two policies that allow a user
	// disagree on an attribute, none is sent.
	// +optional
	// +listType=map
	// +listMapKey=attribute
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	Profile []ProfileAttribute `json:"profile,omitempty"`

	// message is what a person whom this policy turns away reads. Omitted, it is the operator's own text.
	// +optional
	Message Message `json:"message,omitempty"`
}

// AppliesTo limits the calls that a policy has a say in. Where both fields are given, both must match.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="has(self.requestTypes) || has(self.sources)",message="write requestTypes, sources or both; leave appliesTo out for a policy that applies to every call"
type AppliesTo struct {
	// requestTypes are the kinds of call: SelfServiceRegistration for a sign-up (Okta Classic included),
	// ProgressiveProfile for a change to an existing user's profile. Omitted, it is both.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	RequestTypes []RequestType `json:"requestTypes,omitempty"`

	// sources are the ids of Okta's enrolment policies or rules, as Okta sends them in the call's member "source".
	// Omitted, it is all of them.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	Sources []Source `json:"sources,omitempty"`
}

// Allow says who may register.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="has(self.domains) || has(self.publicSuffixes) || has(self.addresses)",message="write domains, publicSuffixes or addresses; leave allow out for a policy that only denies"
type Allow struct {
	// domains are exact domains (acme.com), everything below one at any depth but not itself ("*.acme.com"), or every
	// valid domain ("*"). One that is a public suffix, under which strangers can have names, is refused: see
	// publicSuffixes.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	Domains []AllowDomain `json:"domains,omitempty"`

	// publicSuffixes are the same, for entries that are or cover a public suffix (https://publicsuffix.org) and are
	// meant so: "*.ac.uk".
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	PublicSuffixes []AllowDomain `json:"publicSuffixes,omitempty"`

	// addresses are whole addresses.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	Addresses []MailAddress `json:"addresses,omitempty"`
}

// Deny says who may not register.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="has(self.domains) || has(self.addresses)",message="write domains or addresses; leave deny out for a policy that only allows"
type Deny struct {
	// domains are domains with everything below them (acme.com), only what is below one ("*.acme.com"), a whole
	// top-level domain (ru), or everything ("*").
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	Domains []DenyDomain `json:"domains,omitempty"`

	// addresses are whole addresses.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	Addresses []MailAddress `json:"addresses,omitempty"`
}

// ProfileAttribute is one attribute of Okta's user profile and the value to set.
type ProfileAttribute struct {
	// attribute is the attribute's variable name in Okta's profile editor, for example userType.
	// +required
	Attribute AttributeName `json:"attribute"`

	// value is a string, a number, true, false, or a list of strings.
	// +required
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	Value JSONValue `json:"value"`
}

// RegistrationPolicyStatus is what the operator says about a policy.
type RegistrationPolicyStatus struct {
	// observedGeneration is the generation of the policy that the conditions speak of.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are the policy's conditions; see the condition types of this package.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
