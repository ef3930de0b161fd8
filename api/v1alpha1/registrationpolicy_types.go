package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// RegistrationPolicy says who may register in an Okta org. An operator decides by all policies of the namespaces that
// it watches: a registration is denied if one policy denies any of its addresses; otherwise it is allowed if one
// policy allows all of them.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=registrationpolicies,singular=registrationpolicy,shortName=regpol,scope=Namespaced
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].reason`
// +kubebuilder:printcolumn:name="Replicas",type=string,JSONPath=`.status.replicas.summary`
// +kubebuilder:printcolumn:name="Observed",type=date,JSONPath=`.status.replicas.observedTime`
// +kubebuilder:printcolumn:name="Overruled",type=string,JSONPath=`.status.conditions[?(@.type=="Overruled")].status`
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Allowed",type=integer,JSONPath=`.status.entries.allowed`
// +kubebuilder:printcolumn:name="Denied",type=integer,JSONPath=`.status.entries.denied`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
type RegistrationPolicy struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec holds the rules: which addresses are allowed and denied, and to which calls of Okta the policy applies.
	// +required
	Spec RegistrationPolicySpec `json:"spec"`

	// status is what the operator reports about the policy. Decisions do not depend on it.
	// +optional
	// +kubebuilder:default={conditions: {{type: "Accepted", status: "Unknown", reason: "Pending", message: "No operator has looked at this policy yet. If it stays so, none watches this namespace: see the operator's flag --watch-namespaces.", lastTransitionTime: "1970-01-01T00:00:00Z"}, {type: "Ready", status: "Unknown", reason: "Pending", message: "No operator has looked at this policy yet.", lastTransitionTime: "1970-01-01T00:00:00Z"}}}
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

// RegistrationPolicySpec holds the rules of a policy.
//
// +kubebuilder:validation:XValidation:rule="has(self.allow) || has(self.deny)",message="a policy must allow or deny something: write spec.allow, spec.deny or both"
// +kubebuilder:validation:XValidation:rule="!has(self.profileOn) || has(self.profile)",message="profileOn says when profile is sent: write profile too, or leave profileOn out"
type RegistrationPolicySpec struct {
	// mode is Enforce (the policy decides) or Audit (the policy is only evaluated; the operator's log and metrics say
	// what it would have changed). Defaults to Enforce.
	// +optional
	// +kubebuilder:default=Enforce
	Mode Mode `json:"mode,omitempty"`

	// appliesTo limits the calls to which the policy applies. If both of its fields are set, both must match. If
	// omitted, the policy applies to every call.
	// +optional
	AppliesTo *AppliesTo `json:"appliesTo,omitempty"`

	// allow lists who may register. A call is allowed if no policy denies it and one policy allows all of its
	// addresses.
	// +optional
	Allow *Allow `json:"allow,omitempty"`

	// deny lists who may not register. Within one policy, an entry for an address takes precedence over one for a domain.
	// Between entries of the same kind, deny takes precedence over allow; allow "*" comes last. Other policies cannot make
	// exceptions.
	// +optional
	Deny *Deny `json:"deny,omitempty"`

	// profile sets attributes in the Okta profile of the users that the policy allows; at most 50. An attribute is
	// not set if two policies that allow the user have different values for it.
	// +optional
	// +listType=map
	// +listMapKey=attribute
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	Profile []ProfileAttribute `json:"profile,omitempty"`

	// profileOn lists the types of request for which profile is sent: SelfServiceRegistration (a new user),
	// ProgressiveProfile (an existing user who completes their profile). Defaults to [SelfServiceRegistration].
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	ProfileOn []RequestType `json:"profileOn,omitempty"`

	// message is the text that a person reads when the policy denies them: one line of plain text, at most 300
	// characters, without "<" and control characters. {id} is replaced by the id of the decision, which is also in
	// the operator's log. If omitted, the operator's own text is shown. For example: "Please sign up with your
	// company's address. Reference: {id}."
	// +optional
	Message Message `json:"message,omitempty"`
}

// AppliesTo limits the calls to which a policy applies. If both fields are set, both must match.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="has(self.requestTypes) || has(self.sources)",message="write requestTypes, sources or both; leave appliesTo out for a policy that applies to every call"
type AppliesTo struct {
	// requestTypes are types of request: SelfServiceRegistration (a sign-up, also in Okta Classic),
	// ProgressiveProfile (an existing user who completes their profile). If omitted, both. For example:
	// [SelfServiceRegistration].
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	RequestTypes []RequestType `json:"requestTypes,omitempty"`

	// sources are ids of Okta's enrollment policies or rules, as Okta sends them in the member "source" of a call; at
	// most 50. If omitted, calls of every source. For example: [rul1bufGk5dJdRYw50g4].
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	Sources []Source `json:"sources,omitempty"`
}

// Allow lists who may register.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="has(self.domains) || has(self.publicSuffixes) || has(self.addresses) || has(self.lists)",message="write domains, publicSuffixes, addresses or lists; leave allow out for a policy that only denies"
type Allow struct {
	// domains are the domains whose addresses are allowed; at most 1000. acme.com matches only that domain;
	// "*.acme.com" matches everything below it, at any depth, but not acme.com; "*" matches every valid domain.
	// Letter case is ignored, and an internationalized label equals its A-label (RFC 5890): müller.de is
	// xn--mller-kva.de. An entry that is or covers a public suffix, such as co.uk, belongs in publicSuffixes: here it
	// allows nothing, and the condition Accepted names it.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	Domains []AllowDomain `json:"domains,omitempty"`

	// publicSuffixes are entries like those of domains that are or cover a public suffix (https://publicsuffix.org),
	// under which others can register domains; at most 1000. For example: "*.ac.uk".
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	PublicSuffixes []AllowDomain `json:"publicSuffixes,omitempty"`

	// addresses are the mail addresses that are allowed; at most 1000, of at most 254 characters each. jo+*@acme.com
	// matches jo@acme.com and all of its sub-addresses, such as jo+news@acme.com; there are no other patterns. Letter
	// case is ignored. The local part is a dot-atom (RFC 5322 3.2.3): quoted local parts and comments are rejected.
	// For example: jo@acme.com.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	Addresses []MailAddress `json:"addresses,omitempty"`

	// lists are long lists of entries, in ConfigMaps of the policy's namespace; at most 20. The policy's own entries
	// take precedence over those of lists, except "*". An entry of a list that is or covers a public suffix allows
	// nothing. A missing list allows nothing.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=20
	Lists []ListReference `json:"lists,omitempty"`
}

// Deny lists who may not register.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="has(self.domains) || has(self.addresses) || has(self.lists)",message="write domains, addresses or lists; leave deny out for a policy that only allows"
type Deny struct {
	// domains are the domains whose addresses are denied; at most 1000. acme.com matches that domain and everything below
	// it; "*.acme.com" only what is below it; ru a whole top-level domain; "*" everything. Letter case is ignored, and an
	// internationalized label equals its A-label (RFC 5890). If a label is a different name in IDNA 2003 than in IDNA
	// 2008, both names are denied.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	Domains []DenyDomain `json:"domains,omitempty"`

	// addresses are the mail addresses that are denied; at most 1000, of at most 254 characters each. jo+*@acme.com
	// matches jo@acme.com and all of its sub-addresses, such as jo+news@acme.com; there are no other patterns. Letter
	// case is ignored. The local part is a dot-atom (RFC 5322 3.2.3): quoted local parts and comments are rejected.
	// For example: jo@acme.com.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	Addresses []MailAddress `json:"addresses,omitempty"`

	// lists are long lists of entries, in ConfigMaps of the policy's namespace; at most 20. The policy's own entries take
	// precedence over those of lists, except allow "*". While a list that is not optional is missing, all calls to which
	// the policy applies are denied.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=20
	Lists []ListReference `json:"lists,omitempty"`
}

// ListReference refers to a list of entries.
type ListReference struct {
	// name identifies the reference among those of the same field, so that several field managers can each own some,
	// as with the volumes of a Pod. It does not affect decisions. Defaults to "unnamed", so only one reference of a
	// field can omit it.
	// +optional
	// +kubebuilder:default=unnamed
	Name ListReferenceName `json:"name,omitempty"`

	// configMap is the ConfigMap that holds the list: one entry per line; comments begin with "#".
	// +required
	ConfigMap ConfigMapList `json:"configMap,omitzero"`

	// optional says that the policy stays in force without the list while the ConfigMap or its key is missing.
	// Defaults to false.
	// +optional
	Optional *bool `json:"optional,omitempty"`
}

// ConfigMapList names a ConfigMap in the namespace of the policy. It must have the label registrationpolicy.dev/list:
// "true"; no other ConfigMap is read.
type ConfigMapList struct {
	// name is the name of a ConfigMap in the policy's namespace that has the label registrationpolicy.dev/list:
	// "true". For example: disposable-domains.
	// +required
	Name ObjectName `json:"name"`

	// key is the key of the ConfigMap that holds the list. If omitted, the list is all keys together. For example:
	// domains.txt.
	// +optional
	Key ConfigMapKey `json:"key,omitempty"`
}

// ProfileAttribute is an attribute of Okta's user profile and the value to set.
type ProfileAttribute struct {
	// attribute is the variable name of the attribute in Okta's profile editor; at most 59 characters. login, email,
	// password, secondEmail, mobilePhone and primaryPhone cannot be set. For example: userType.
	// +required
	Attribute AttributeName `json:"attribute"`

	// value is the value to set: a string of at most 1000 characters, a number, true, false, or a list of at most 100
	// strings. For example: Partner.
	// +required
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	Value JSONValue `json:"value"`
}

// RegistrationPolicyStatus is what the operator reports about a policy.
type RegistrationPolicyStatus struct {
	// observedGeneration is the metadata.generation to which the conditions refer.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Accepted (is all of the spec in force?), Ready (is this generation in force on every serving
	// replica?) and, only while true, Overruled (another policy denies all calls to which this one applies).
	// docs/reference/reasons.md has the reasons of each.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// replicas says how many replicas decide by the observed generation.
	// +optional
	Replicas *ReplicasStatus `json:"replicas,omitempty"`

	// entries says how many entries are in force, those of lists included.
	// +optional
	Entries *EntriesStatus `json:"entries,omitempty"`

	// lists are the lists that the policy uses, as the operator has read them.
	// +optional
	// +listType=map
	// +listMapKey=path
	// +kubebuilder:validation:MaxItems=40
	Lists []ListStatus `json:"lists,omitempty"`

	// namespaceMemoryLimitBytes is how much memory the policies of the namespace and their lists may take together in
	// each replica, in bytes. `regpol lists sync` refuses a list that would exceed it. Omitted if there is no limit.
	// +optional
	// +kubebuilder:validation:Minimum=1
	NamespaceMemoryLimitBytes int64 `json:"namespaceMemoryLimitBytes,omitempty"`
}

// ReplicasStatus says how many replicas decided by the observed generation of a policy at the observed time. A replica
// that starts or stops does not change it at once: the operator writes it again when Ready changes, or when the written
// status is too old.
type ReplicasStatus struct {
	// summary is inForce and serving in one text. For example: "3/3".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	Summary string `json:"summary,omitempty"`

	// serving is how many replicas could receive calls.
	// +required
	// +kubebuilder:validation:Minimum=0
	Serving *int32 `json:"serving,omitempty"`

	// inForce is how many of the serving replicas decided by the observed generation.
	// +required
	// +kubebuilder:validation:Minimum=0
	InForce *int32 `json:"inForce,omitempty"`

	// observedTime is when the operator last wrote what it observed. The operator renews a status that is over 10 minutes
	// old, the oldest first, so that none is older than two hours. If the time is older, perhaps no operator is running.
	// +optional
	ObservedTime *metav1.Time `json:"observedTime,omitempty"`

	// firstSeenResourceVersion is the resourceVersion of the policy when the operator first saw the observed generation. A
	// replica that has read the namespace up to this resourceVersion decides by that generation.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	FirstSeenResourceVersion string `json:"firstSeenResourceVersion,omitempty"`

	// uid is the uid of the policy that was observed. If a policy is restored into another cluster with its status, its
	// own uid differs, and the operator ignores the status.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	UID string `json:"uid,omitempty"`

	// waiting names the first ten serving replicas that are not known to decide by the observed generation.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=10
	Waiting []WaitingReplica `json:"waiting,omitempty"`
}

// WaitingReplica is a replica that is not known to decide by the observed generation of a policy.
type WaitingReplica struct {
	// name is the name of the replica: in a cluster, of its pod.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// reason is Behind (the replica decides by an earlier generation), Unreadable (the replica does so because it cannot
	// read the policy's namespace), Silent (the replica did so in its last report, over half a minute ago) or Unreported
	// (the replica serves and has not reported yet).
	// +required
	Reason WaitingReason `json:"reason,omitempty"`
}

// WaitingReason says why a replica is not known to decide by a generation.
//
// +kubebuilder:validation:Enum=Behind;Unreadable;Silent;Unreported
type WaitingReason string

// The values of WaitingReason.
const (
	// WaitingBehind is a replica that decides by an earlier generation.
	WaitingBehind WaitingReason = "Behind"
	// WaitingUnreadable is a replica that decides by an earlier generation because it cannot read the policy's namespace.
	WaitingUnreadable WaitingReason = "Unreadable"
	// WaitingSilent is a replica that decided by an earlier generation when it last reported, over half a minute ago.
	WaitingSilent WaitingReason = "Silent"
	// WaitingUnreported is a replica that serves and has not reported yet.
	WaitingUnreported WaitingReason = "Unreported"
)

// EntriesStatus says how many entries of a policy are in force. An entry in two lists counts twice.
type EntriesStatus struct {
	// allowed is how many entries allow.
	// +required
	// +kubebuilder:validation:Minimum=0
	Allowed *int64 `json:"allowed,omitempty"`

	// denied is how many entries deny.
	// +required
	// +kubebuilder:validation:Minimum=0
	Denied *int64 `json:"denied,omitempty"`
}

// ListStatus is what the operator reports about a list that a policy uses.
type ListStatus struct {
	// path is the field that refers to the list. For example: spec.deny.lists[0].
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Path string `json:"path"`

	// entries is how many different entries the list has.
	// +required
	// +kubebuilder:validation:Minimum=0
	Entries *int64 `json:"entries,omitempty"`

	// digest identifies the content: "sha256:" and what sha256sum prints for it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=80
	Digest string `json:"digest"`

	// skippedLines is how many lines are not entries. Omitted if there are none.
	// +optional
	// +kubebuilder:validation:Minimum=0
	SkippedLines int64 `json:"skippedLines,omitempty"`

	// firstSkippedLines are the numbers of the first ten skipped lines. Lines are counted from 1 over the whole list,
	// which may consist of several keys or ConfigMaps.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	FirstSkippedLines []int64 `json:"firstSkippedLines,omitempty"`
}
