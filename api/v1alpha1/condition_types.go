package v1alpha1

// ConditionType is the type of a condition of a policy.
type ConditionType string

// ConditionReason is the reason of a condition of a policy. The set is closed, and part of the API.
type ConditionReason string

const (
	// ConditionAccepted says whether all of the spec is in force.
	//
	// Possible reasons for it to be True are:
	//
	// * "Accepted"
	// * "AcceptedWithWarnings"
	//
	// Possible reasons for it to be False are:
	//
	// * "InvalidEntry"
	// * "ListInvalid"
	// * "OverBudget"
	// * "ListNotFound"
	// * "OutsideScope"
	// * "NotUnderstood"
	//
	// Of several, it is the last of these; the message names the faults of all but "NotUnderstood".
	//
	// Possible reasons for it to be Unknown are:
	//
	// * "Pending"
	ConditionAccepted ConditionType = "Accepted"

	// ConditionReady says whether the generation that the operator has observed is in force on every serving replica
	// (in mode Audit: is evaluated on every one). Once true of a generation it stays so, unless a replica goes back.
	//
	// Possible reasons for it to be True are:
	//
	// * "InForce"
	// * "Evaluated"
	//
	// Possible reasons for it to be False are:
	//
	// * "NotAccepted"
	// * "RollingOut"
	// * "NoReplica"
	//
	// Possible reasons for it to be Unknown are:
	//
	// * "ReplicaSilent"
	// * "NamespaceUnreadable"
	// * "ReplicasUnknown"
	// * "Pending"
	ConditionReady ConditionType = "Ready"

	// ConditionOverruled is True while another policy denies all calls that this one applies to. Then this policy lets nobody
	// register, although it is in force. The message names the other policy. Otherwise the condition is absent.
	//
	// Possible reasons for it to be True are:
	//
	// * "PolicyNotEnforceable"
	// * "PolicyDeniesAll"
	ConditionOverruled ConditionType = "Overruled"

	// ReasonPolicyNotEnforceable is used with Overruled=True. The other policy cannot be enforced: the operator does not
	// understand it, or one of its deny lists is missing.
	ReasonPolicyNotEnforceable ConditionReason = "PolicyNotEnforceable"

	// ReasonPolicyDeniesAll is used with Overruled=True: the other policy denies "*".
	ReasonPolicyDeniesAll ConditionReason = "PolicyDeniesAll"

	// ReasonInForce is used with Ready=True: every serving replica decides by this generation.
	ReasonInForce ConditionReason = "InForce"

	// ReasonEvaluated is used with Ready=True of a policy in mode Audit: every serving replica evaluates this
	// generation.
	ReasonEvaluated ConditionReason = "Evaluated"

	// ReasonNotAccepted is used with Ready=False: not all of the spec is in force anywhere; see Accepted.
	ReasonNotAccepted ConditionReason = "NotAccepted"

	// ReasonRollingOut is used with Ready=False: some serving replica does not decide by this generation yet.
	ReasonRollingOut ConditionReason = "RollingOut"

	// ReasonNoReplica is used with Ready=False: no replica serves.
	ReasonNoReplica ConditionReason = "NoReplica"

	// ReasonReplicaSilent is used with Ready=Unknown: a serving replica has not said for half a minute, or never,
	// what it decides by, and had not reached this generation when it last did. status.replicas names it.
	ReasonReplicaSilent ConditionReason = "ReplicaSilent"

	// ReasonNamespaceUnreadable is used with Ready=Unknown: a serving replica cannot read the policy's namespace, and had not
	// reached this generation before. It goes on deciding by the last rules of the namespace that it has read; status.replicas
	// names it.
	ReasonNamespaceUnreadable ConditionReason = "NamespaceUnreadable"

	// ReasonReplicasUnknown is used with Ready=Unknown: the operator could not find out which replicas serve.
	ReasonReplicasUnknown ConditionReason = "ReplicasUnknown"

	// ReasonAccepted is used with Accepted=True: all of the spec is in force.
	ReasonAccepted ConditionReason = "Accepted"

	// ReasonAcceptedWithWarnings is used with Accepted=True: all of the spec is in force, and something in it looks
	// wrong. The message says what.
	ReasonAcceptedWithWarnings ConditionReason = "AcceptedWithWarnings"

	// ReasonInvalidEntry is used with Accepted=False: the message names entries by path and says what to write instead.
	// An allow entry among them allows nothing; the rest of the policy is in force.
	ReasonInvalidEntry ConditionReason = "InvalidEntry"

	// ReasonListInvalid is used with Accepted=False: a list is there and cannot be used. It has no entry, or over 1 % of
	// its lines are none, or a part of it is missing. Such a list counts as missing: see ReasonListNotFound.
	ReasonListInvalid ConditionReason = "ListInvalid"

	// ReasonListNotFound is used with Accepted=False: there is no such ConfigMap, or it lacks the label or the key. A list
	// that allows then allows nothing. Without one that denies, the calls that the policy applies to are denied, unless it
	// is optional. Without an optional one, the policy is accepted with a warning.
	ReasonListNotFound ConditionReason = "ListNotFound"

	// ReasonOverBudget is used with Accepted=False: the policies of the namespace, or a list that this one names, want more
	// memory than the operator gives the namespace (--namespace-limits); the message has the figures. Such a list counts as
	// missing: see ReasonListNotFound. Where it is the policies, all calls that the namespace decides are denied.
	ReasonOverBudget ConditionReason = "OverBudget"

	// ReasonOutsideScope is used with Accepted=False: the operator bounds the namespace to calls of some sources
	// (--namespace-sources), and the policy names none or others. The message names them by path and says what to write
	// instead. The policy takes part in the calls that it names within the bound, in all within it where it names none, and
	// in no other, neither to allow nor to deny.
	ReasonOutsideScope ConditionReason = "OutsideScope"

	// ReasonNotUnderstood is used with Accepted=False: the object cannot be decoded, or has a field that this operator
	// does not know (a newer CustomResourceDefinition, or an operator rolled back). In mode Enforce, the calls that the
	// policy applies to, or all where that cannot be told, are denied.
	ReasonNotUnderstood ConditionReason = "NotUnderstood"

	// ReasonPending is used with Accepted=Unknown and Ready=Unknown: no operator has looked at the policy yet. A policy
	// starts so; if it stays so, none watches its namespace.
	ReasonPending ConditionReason = "Pending"
)
