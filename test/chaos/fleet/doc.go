// Package fleet runs replicas of the operator as a cluster would: with a real etcd and kube-apiserver that can be
// stopped and killed, a TCP proxy between each replica and the API server, and a real haproxy with health checks before
// the replicas.
//
// It simulates only the controllers that the test control plane lacks:
//
//   - kubelet ([Pod]): starts the container and restarts it when it ends, runs the chart's probes, writes the pod's status, and
//     sends SIGTERM when the pod is deleted and SIGKILL after its grace period. It has no crash-loop back-off.
//   - the EndpointSlice controller ([Endpoints]): writes the Service's EndpointSlice from the pods.
//   - the garbage collector ([Collector]): deletes the Leases of deleted pods.
//   - the Ingress controller ([Ingress]): configures haproxy's servers from the EndpointSlice.
//
// The script takes the place of the Deployment controller: it creates and deletes pods.
package fleet
