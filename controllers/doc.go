// Package controllers brings policies into force and says of each what became of it.
//
// Rules: in every replica, any change of a policy → all policies are listed, converted to [rules.Policy], compiled, and
// published in one [rules.Store]. Nothing on this way writes to the API or waits for a status. Status: one replica, the
// leader, computes each policy's conditions and applies them; no decision ever reads them. Without a cluster, a [Directory]
// of files takes the place of the API server, under the same schema.
//
// The fleet: the watches know up to which resourceVersion they have come, and the rules built from them up to which they reflect
// the API server. A [fleet.Replica] reports that, and a [fleet.Rollout] of the leader tells from it when a generation is in force
// everywhere.
package controllers

// +kubebuilder:rbac:groups=registrationpolicy.dev,resources=registrationpolicies,verbs=get;list;watch
// +kubebuilder:rbac:groups=registrationpolicy.dev,resources=registrationpolicies/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,verbs=get;list;create;update;delete
// +kubebuilder:rbac:groups=discovery.k8s.io,resources=endpointslices,verbs=list
// +kubebuilder:rbac:groups="",resources=pods,verbs=get
