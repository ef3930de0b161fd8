// Package controllers brings policies into force and says of each what became of it.
//
// In every replica: watch → build → publish. An object that its informer brings has the [RulesReconciler] build its namespace anew: what
// has changed is read, converted to a [rules.Policy] and compiled, and published in one [rules.Store]. Nothing on this way writes to the
// API or waits for a status.
//
// In one replica: leader → status. The [StatusReconciler] says of each policy what was built of it, and whether that is in force on every
// replica. No decision reads it.
package controllers

// +kubebuilder:rbac:groups=registrationpolicy.dev,resources=registrationpolicies,verbs=get;list;watch
// +kubebuilder:rbac:groups=registrationpolicy.dev,resources=registrationpolicies/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,verbs=get;list;create;update;delete
// +kubebuilder:rbac:groups=discovery.k8s.io,resources=endpointslices,verbs=list
// +kubebuilder:rbac:groups="",resources=pods,verbs=get
