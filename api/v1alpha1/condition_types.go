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
	// If several apply, the reason is the last of them in this list. The message covers all of them, except that with
	// "NotUnderstood" it covers only that.
	//
	// Possible reasons for it to be Unknown are:
	//
	// * "Pending"
	ConditionAccepted ConditionType = "Accepted"

	// ConditionReady says whether every serving replica decides by the observed generation (in mode Audit: evaluates it).
	// Once True for a generation it stays True, unless a replica goes back to an earlier one.
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

	// ConditionOverruled is True while another policy denies all calls to which this one applies: this one is in force and
	// allows no registration. The message names the other policy. Otherwise the condition is absent.
	//
	// Possible reasons for it to be True are:
	//
	// * "PolicyNotEnforceable"
	// * "PolicyDeniesAll"
	ConditionOverruled ConditionType = "Overruled"

	// ReasonPolicyNotEnforceable is used with Overruled=True: the policy that overrules this one cannot be enforced,
	// and therefore denies all calls to which it applies. The operator does not understand it, or one of its deny lists
	// is missing.
	ReasonPolicyNotEnforceable ConditionReason = "PolicyNotEnforceable"

	// ReasonPolicyDeniesAll is used with Overruled=True: the policy that overrules this one denies "*".
	ReasonPolicyDeniesAll ConditionReason = "PolicyDeniesAll"

	// ReasonInForce is used with Ready=True: every serving replica decides by this generation.
	ReasonInForce ConditionReason = "InForce"

	// ReasonEvaluated is used with Ready=True of a policy in mode Audit: every serving replica evaluates this
	// generation.
	ReasonEvaluated ConditionReason = "Evaluated"

	// ReasonNotAccepted is used with Ready=False: no replica has all of the spec in force; see the condition Accepted.
	ReasonNotAccepted ConditionReason = "NotAccepted"

	// ReasonRollingOut is used with Ready=False: some serving replica does not decide by this generation yet.
	ReasonRollingOut ConditionReason = "RollingOut"

	// ReasonNoReplica is used with Ready=False: no replica serves.
	ReasonNoReplica ConditionReason = "NoReplica"

	// ReasonReplicaSilent is used with Ready=Unknown: it is unknown whether a serving replica decides by this
	// generation. The replica has never reported, or its last report is over half a minute old and
	// shows that it decided by an earlier generation. status.replicas names the replica.
	ReasonReplicaSilent ConditionReason = "ReplicaSilent"

	// ReasonNamespaceUnreadable is used with Ready=Unknown: a serving replica cannot read the policy's namespace, and did not
	// decide by this generation before. It decides by the last rules of the namespace that it could read. status.replicas
	// names it.
	ReasonNamespaceUnreadable ConditionReason = "NamespaceUnreadable"

	// ReasonReplicasUnknown is used with Ready=Unknown: the operator could not find out which replicas serve.
	ReasonReplicasUnknown ConditionReason = "ReplicasUnknown"

	// ReasonAccepted is used with Accepted=True: all of the spec is in force.
	ReasonAccepted ConditionReason = "Accepted"

	// ReasonAcceptedWithWarnings is used with Accepted=True: all of the spec is in force, and part of it looks wrong. The
	// message names that part.
	ReasonAcceptedWithWarnings ConditionReason = "AcceptedWithWarnings"

	// ReasonInvalidEntry is used with Accepted=False: the message names entries by path and says what to write instead.
	// An allow entry among them allows nothing; the rest of the policy is in force.
	ReasonInvalidEntry ConditionReason = "InvalidEntry"

	// ReasonListInvalid is used with Accepted=False: a list exists and cannot be used. It has no entry, or over 1 % of its
	// lines are not entries, or a part of it is missing. The policy is in force as if the list were missing: see
	// ReasonListNotFound. An optional list that cannot be used has this reason too.
	ReasonListInvalid ConditionReason = "ListInvalid"

	// ReasonListNotFound is used with Accepted=False: a list is missing. Its ConfigMap does not exist, or lacks the
	// label registrationpolicy.dev/list or the key that the policy names. Without an allow list, the rest of the policy
	// is in force. Without a deny list, the policy denies all calls to which it applies, unless the list is optional:
	// then the rest of the policy is in force. A missing optional list has the reason AcceptedWithWarnings instead.
	ReasonListNotFound ConditionReason = "ListNotFound"

	// ReasonOverBudget is used with Accepted=False: the policies of the namespace, or a list of this one, need more memory than
	// the operator gives the namespace (--namespace-limits). The message has the figures. Such a list counts as missing: see
	// ReasonListNotFound. If the policies alone need more, all calls that the namespace decides are denied.
	ReasonOverBudget ConditionReason = "OverBudget"

	// ReasonOutsideScope is used with Accepted=False: the operator limits the namespace to calls of some sources
	// (--namespace-sources), and the policy names others, or none. The message names them by path and says what to write
	// instead. Within the limit, the policy decides the calls of the sources that it names, or all calls if it names no
	// source. It neither allows nor denies any other call.
	ReasonOutsideScope ConditionReason = "OutsideScope"

	// ReasonNotUnderstood is used with Accepted=False: the object cannot be decoded, or has a field that this operator
	// does not know (a newer CustomResourceDefinition, or an operator that was rolled back). In mode Enforce, the calls to
	// which the policy applies are denied, or all calls if that part is not understood.
	ReasonNotUnderstood ConditionReason = "NotUnderstood"

	// ReasonPending is used with Accepted=Unknown and Ready=Unknown: no operator has looked at the policy yet. It is the
	// initial reason. If it stays, no operator watches the namespace.
	ReasonPending ConditionReason = "Pending"
)
