// Package controllers puts policies in force and writes their status.
//
// In every replica: watch → build → publish. When an object changes (package informers), the [RulesReconciler] builds
// the policies of its namespace (package build) and publishes the rules of all namespaces in one [rules.Store] (package
// publish). It does not write to the API and does not wait for a status.
//
// In the leader: status. For each policy, the [StatusReconciler] writes what was built from it, and whether that is in
// force on every replica. No decision depends on the status.
package controllers

// +kubebuilder:rbac:groups=registrationpolicy.dev,resources=registrationpolicies,verbs=get;list;watch
// +kubebuilder:rbac:groups=registrationpolicy.dev,resources=registrationpolicies/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,verbs=get;list;create;update;delete
// +kubebuilder:rbac:groups=discovery.k8s.io,resources=endpointslices,verbs=list
// +kubebuilder:rbac:groups="",resources=pods,verbs=get
