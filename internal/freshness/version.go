package freshness

import "k8s.io/apimachinery/pkg/util/resourceversion"

// Older reports whether resourceVersion a is older than b. A malformed version, such as "", is older than every
// well-formed one, but not older than another malformed one. Versions of different kinds and namespaces are comparable
// if one etcd stores them (Kubernetes KEP-5504).
func Older(a, b string) bool {
	order, err := resourceversion.CompareResourceVersion(a, b)
	if err == nil {
		return order < 0
	}
	_, errA := resourceversion.CompareResourceVersion(a, a)
	_, errB := resourceversion.CompareResourceVersion(b, b)
	return errA != nil && errB == nil
}
