// Package fleet runs replicas of the operator as a cluster would: a real etcd and kube-apiserver whose programs can be
// stopped and killed, operators that each reach it over a line of their own, a real haproxy with health checks before them.
//
// What the test control plane lacks is simulated, each by as little as is honest, and nothing else is:
//
//   - kubelet ([Pod]): starts the container and starts it again when it ends, probes as the chart's probes do, writes the pod's
//     status, sends SIGTERM when the pod is deleted and SIGKILL after its grace period. It does not back off from a container
//     that ends often.
//   - the endpoint slice controller ([Endpoints]): writes one EndpointSlice of the Service from the pods.
//   - the garbage collector ([Collector]): deletes the Leases of pods that are gone.
//   - the Ingress controller ([Ingress]): tells haproxy which endpoints there are.
//
// The Deployment controller is the script: it creates and deletes pods.
package fleet
