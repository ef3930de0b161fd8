package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// RegistrationPolicy says who may register at Okta. Every policy in the namespaces that an operator watches decides for
// the whole Okta org of that operator: one that denies an address denies the registration, otherwise one must allow it.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=registrationpolicies,singular=registrationpolicy,shortName=regpol,scope=Namespaced
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Replicas",type=string,JSONPath=`.status.replicas.summary`
// +kubebuilder:printcolumn:name="Observed",type=date,JSONPath=`.status.replicas.observedTime`
// +kubebuilder:printcolumn:name="Overruled",type=string,JSONPath=`.status.conditions[?(@.type=="Overruled")].status`
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Allowed",type=integer,JSONPath=`.status.entries.allowed`
// +kubebuilder:printcolumn:name="Denied",type=integer,JSONPath=`.status.entries.denied`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Accepted",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Accepted")].reason`
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

// RegistrationPolicySpec is what a policy says.
//
// +kubebuilder:validation:XValidation:rule="has(self.allow) || has(self.deny)",message="a policy must allow or deny something: write spec.allow, spec.deny or both"
// +kubebuilder:validation:XValidation:rule="!has(self.profileOn) || has(self.profile)",message="profileOn says when profile is sent: write profile too, or leave profileOn out"
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

	// profile holds attributes that Okta sets on a user whom this policy allows. If two policies that allow a user
	// disagree on an attribute, none is sent.
	// +optional
	// +listType=map
	// +listMapKey=attribute
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	Profile []ProfileAttribute `json:"profile,omitempty"`

	// profileOn are the kinds of call on which profile is sent: SelfServiceRegistration for new users, ProgressiveProfile
	// for existing ones who change their profile. Omitted, it is SelfServiceRegistration.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	ProfileOn []RequestType `json:"profileOn,omitempty"`

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
// +kubebuilder:validation:XValidation:rule="has(self.domains) || has(self.publicSuffixes) || has(self.addresses) || has(self.lists)",message="write domains, publicSuffixes, addresses or lists; leave allow out for a policy that only denies"
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

	// addresses are whole addresses, or jo+*@acme.com for an address with all its sub-addresses.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	Addresses []MailAddress `json:"addresses,omitempty"`

	// lists are big lists of entries, kept in ConfigMaps beside the policy. What stands here by hand beats them, but for
	// "*". An entry that is or covers a public suffix allows nothing. A list that is missing allows nothing.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=20
	Lists []ListReference `json:"lists,omitempty"`
}

// Deny says who may not register.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="has(self.domains) || has(self.addresses) || has(self.lists)",message="write domains, addresses or lists; leave deny out for a policy that only allows"
type Deny struct {
	// domains are domains with everything below them (acme.com), only what is below one ("*.acme.com"), a whole
	// top-level domain (ru), or everything ("*").
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	Domains []DenyDomain `json:"domains,omitempty"`

	// addresses are whole addresses, or jo+*@acme.com for an address with all its sub-addresses.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	Addresses []MailAddress `json:"addresses,omitempty"`

	// lists are big lists of entries, kept in ConfigMaps beside the policy. What stands here or in allow by hand beats
	// them, but for allow "*". While one is missing that is not optional, the calls that the policy applies to are denied.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=20
	Lists []ListReference `json:"lists,omitempty"`
}

// ListReference names a list of entries.
type ListReference struct {
	// name tells this reference from the others of the same field, so that several field managers can each keep theirs, as
	// the volumes of a Pod. It decides nothing. Omitted, it is "unnamed": where there are several lists, at most one of
	// them may leave it out.
	// +optional
	// +kubebuilder:default=unnamed
	Name ListReferenceName `json:"name,omitempty"`

	// configMap holds the list: one entry a line, with # for comments.
	// +required
	ConfigMap ConfigMapList `json:"configMap,omitzero"`

	// optional says that the rest of the policy is in force without the list too, where there is no such ConfigMap or
	// key. Omitted, it is false.
	// +optional
	Optional *bool `json:"optional,omitempty"`
}

// ConfigMapList names a ConfigMap in the namespace of the policy, which must have the label
// registrationpolicy.dev/list with the value "true": no other one is read.
type ConfigMapList struct {
	// name is that of the ConfigMap.
	// +required
	Name ObjectName `json:"name"`

	// key is the one of its keys that holds the list. Omitted, it is all of them.
	// +optional
	Key ConfigMapKey `json:"key,omitempty"`
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
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// replicas says how many replicas decide by the policy.
	// +optional
	Replicas *ReplicasStatus `json:"replicas,omitempty"`

	// entries says how many entries of the policy are in force, those of its lists included.
	// +optional
	Entries *EntriesStatus `json:"entries,omitempty"`

	// lists are the lists that the policy uses, as the operator has read them.
	// +optional
	// +listType=map
	// +listMapKey=path
	// +kubebuilder:validation:MaxItems=40
	Lists []ListStatus `json:"lists,omitempty"`

	// namespaceMemoryLimitBytes is how many bytes of memory the policies of the namespace and the lists that they name may take
	// together in each replica. `regpol lists sync` refuses a list that would go beyond it. Omitted: there is no limit.
	// +optional
	// +kubebuilder:validation:Minimum=1
	NamespaceMemoryLimitBytes int64 `json:"namespaceMemoryLimitBytes,omitempty"`
}

// ReplicasStatus says how many replicas decided by the observed generation of a policy at the observed time. A replica
// that starts or stops changes it only when Ready changes, or when the leader renews the count.
type ReplicasStatus struct {
	// summary is inForce and serving for people, for example "3/3".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	Summary string `json:"summary,omitempty"`

	// serving is how many replicas served.
	// +required
	// +kubebuilder:validation:Minimum=0
	Serving *int32 `json:"serving,omitempty"`

	// inForce is how many of these decided by the observed generation.
	// +required
	// +kubebuilder:validation:Minimum=0
	InForce *int32 `json:"inForce,omitempty"`

	// observedTime is when the operator last wrote what it had found. It confirms a status that is 10 minutes old, up to six a
	// minute. A much older one says that no operator confirms it: none may be running.
	// +optional
	ObservedTime *metav1.Time `json:"observedTime,omitempty"`

	// firstSeenResourceVersion is the resourceVersion of the policy at which the operator first saw the observed generation:
	// a replica whose rules reflect the policy's namespace up to it decides by that generation.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	FirstSeenResourceVersion string `json:"firstSeenResourceVersion,omitempty"`

	// uid is that of the policy of which this was said. A status that was restored with its policy into another cluster has
	// another one, and does not count.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	UID string `json:"uid,omitempty"`

	// waiting are the first of the serving replicas that were not known to decide by the observed generation.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=10
	Waiting []WaitingReplica `json:"waiting,omitempty"`
}

// WaitingReplica is a replica that is not known to decide by a generation of a policy.
type WaitingReplica struct {
	// name is the replica's: in a cluster, its pod's.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// reason is Behind (it decides by something earlier), Unreadable (it does, and cannot read the policy's namespace), Silent (it
	// did when it last reported, over half a minute ago), or Unreported (it serves, and has never reported).
	// +required
	Reason WaitingReason `json:"reason,omitempty"`
}

// WaitingReason says why a replica is not known to decide by a generation.
//
// +kubebuilder:validation:Enum=Behind;Unreadable;Silent;Unreported
type WaitingReason string

// The values of WaitingReason.
const (
	// WaitingBehind is a replica that decides by something earlier.
	WaitingBehind WaitingReason = "Behind"
	// WaitingUnreadable is a replica that decides by something earlier because it cannot read the policy's namespace.
	WaitingUnreadable WaitingReason = "Unreadable"
	// WaitingSilent is one that did when it last said so, which is a while ago.
	WaitingSilent WaitingReason = "Silent"
	// WaitingUnreported is one that can be asked, and has never said what it decides by.
	WaitingUnreported WaitingReason = "Unreported"
)

// EntriesStatus says how many entries of a policy are in force. An entry that stands in two lists counts twice.
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

// ListStatus is what the operator says about a list that a policy uses.
type ListStatus struct {
	// path is the place of the reference, for example spec.deny.lists[0].
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Path string `json:"path"`

	// entries is how many different entries the list has.
	// +required
	// +kubebuilder:validation:Minimum=0
	Entries *int64 `json:"entries,omitempty"`

	// digest names the content: "sha256:" and what sha256sum prints for it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=80
	Digest string `json:"digest"`

	// skippedLines is how many lines are not entries. Omitted, it is 0.
	// +optional
	// +kubebuilder:validation:Minimum=0
	SkippedLines int64 `json:"skippedLines,omitempty"`

	// firstSkippedLines are the numbers of the first of these lines, counted from 1 over all keys or shards in their order.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	FirstSkippedLines []int64 `json:"firstSkippedLines,omitempty"`
}
