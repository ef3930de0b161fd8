package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/listconfigmap"
	"registrationpolicy.dev/operator/rules"
)

const (
	// source is the Okta source of the calls that the policies of a case decide. Calls of otherSource are decided by a
	// policy in another namespace, which must not suffer from the case.
	source      = "rul1"
	otherSource = "rul2"
	// marker is the name of the policy that is written last. A call that it decides shows which version of a case is in
	// force.
	marker = "marker"
	// listName is the name of the list of a case.
	listName = "names"
)

// load is a case: a large set of objects in a namespace.
type load struct {
	name, sentence string
	// bounded says that the objects are in a tenant's namespace, which may only decide calls of source
	// (--namespace-sources). Otherwise they are in the operator's own namespace.
	bounded bool
	// put writes a version of the objects: 0 before the operator's start, then 1, 2 and so on.
	put func(ctx context.Context, n *namespace, version int) error
	// address returns an address whose decision shows that a version is in force. reason is the expected reason of that
	// decision if the objects are within the budget.
	address func(version int) string
	reason  rules.Reason
	// refused says that the objects are beyond the budget: all calls in the namespace's scope are denied, and the
	// condition Accepted is False.
	refused bool
}

func cases() []load {
	return []load{
		{
			name: "policies-7m", sentence: "60 policies of a bounded tenant, 7.4 MB", bounded: true,
			put: putPolicies(60, func(i, version int) map[string]any {
				return map[string]any{
					"allow": map[string]any{
						"domains":   names(1000, "a%04d.department-%02d.example", i),
						"addresses": names(1000, "somebody.%04d@department-%02d.company.example", i),
					},
					"deny": map[string]any{"domains": names(1000, "d%04d.department-%02d-former.example", i*100+version)},
				}
			}),
			address: allowedMarker, reason: rules.ReasonAllowed,
		},
		{
			name: "maps-190m", sentence: "190 ConfigMaps of 1 MB with the label of a list, which no policy names", bounded: true,
			put: putUnnamed, address: allowedMarker, reason: rules.ReasonAllowed,
		},
		{
			name: "metadata-250m", sentence: "500 ConfigMaps and 500 policies, each with 250 KB of annotations", bounded: true,
			put: putAnnotated, address: allowedMarker, reason: rules.ReasonAllowed,
		},
		{
			name: "denies-150000", sentence: "150 policies of 1,000 deny domains", bounded: true,
			put: putPolicies(150, func(i, version int) map[string]any {
				return map[string]any{"deny": map[string]any{"domains": names(1000, "d%04d.number-%03d.example", i*100+version)}}
			}),
			address: allowedMarker, reason: rules.ReasonAllowed,
		},
		{
			name: "domains-990000", sentence: "a list of 990,000 domains; all versions stay",
			put: putListed(990_000, domainLine), address: listedMarker, reason: rules.ReasonDenied,
		},
		{
			name: "addresses-1000000", sentence: "a list of 1,000,000 addresses; all versions stay",
			put: putListed(1_000_000, addressLine), address: listedMarker, reason: rules.ReasonDenied, refused: true,
		},
		{
			name: "policies-5000", sentence: "5,000 policies of 10 domains beside a list of 1,000,000 domains",
			put: func(ctx context.Context, n *namespace, version int) error {
				few := putPolicies(5000, func(i, version int) map[string]any {
					return map[string]any{"allow": map[string]any{"domains": names(10, "a%02d.company-%04d.example", i*10+version)}}
				})
				if err := few(ctx, n, version); err != nil {
					return err
				}
				return putListed(1_000_000, domainLine)(ctx, n, version)
			},
			address: listedMarker, reason: rules.ReasonDenied,
		},
		{
			name: "flood", sentence: "a tenant's 200 policies of 1 MB, and 20 more each time", bounded: true, refused: true,
			put: putFlood, address: allowedMarker, reason: rules.ReasonAllowed,
		},
	}
}

func allowedMarker(version int) string { return fmt.Sprintf("jo@version-%d.example", version) }
func listedMarker(version int) string  { return fmt.Sprintf("jo@listed-%d.example", version) }

// putPolicies returns a load.put that writes count policies and the marker as version 0, and only the first policy and
// the marker as later versions.
func putPolicies(count int, spec func(i, version int) map[string]any) func(context.Context, *namespace, int) error {
	return func(ctx context.Context, n *namespace, version int) error {
		var objects []client.Object
		for i := range count {
			if version == 0 || i == 0 {
				objects = append(objects, policy(fmt.Sprintf("policy-%04d", i), spec(i, version)))
			}
		}
		if err := n.put(ctx, objects...); err != nil {
			return err
		}
		return putMarker(ctx, n, version)
	}
}

// putMarker writes the policy that shows which version is in force. It must be written last.
func putMarker(ctx context.Context, n *namespace, version int) error {
	return n.put(ctx, policy(marker, map[string]any{
		"allow": map[string]any{"domains": []any{fmt.Sprintf("version-%d.example", version)}},
	}))
}

func putUnnamed(ctx context.Context, n *namespace, version int) error {
	const maps, changed, size = 190, 10, 1 << 20
	line := fmt.Sprintf("version-%d.unnamed.example\n", version)
	text := strings.Repeat(line, size/len(line)-100)
	var objects []client.Object
	for i := range maps {
		if version == 0 || i < changed {
			objects = append(objects, &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{
					Name: fmt.Sprintf("unnamed-%03d", i), Labels: map[string]string{listconfigmap.Label: listconfigmap.LabelTrue},
				},
				Data: map[string]string{listconfigmap.KeyEntries: text},
			})
		}
	}
	if err := n.put(ctx, objects...); err != nil {
		return err
	}
	return putMarker(ctx, n, version)
}

// putAnnotated writes small objects with large annotations.
func putAnnotated(ctx context.Context, n *namespace, version int) error {
	const each, changed, size = 500, 10, 250 << 10
	annotations := map[string]string{"large": fmt.Sprint(version, strings.Repeat("x", size))}
	var objects []client.Object
	for i := range each {
		if version > 0 && i >= changed {
			break
		}
		list := &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{
				Name: fmt.Sprintf("annotated-%03d", i), Labels: map[string]string{listconfigmap.Label: listconfigmap.LabelTrue},
				Annotations: annotations,
			},
			Data: map[string]string{listconfigmap.KeyEntries: "annotated.example\n"},
		}
		small := policy(fmt.Sprintf("annotated-%03d", i), map[string]any{"allow": map[string]any{"domains": []any{"annotated.example"}}})
		small.SetAnnotations(annotations)
		objects = append(objects, list, small)
	}
	if err := n.put(ctx, objects...); err != nil {
		return err
	}
	return putMarker(ctx, n, version)
}

// putListed returns a load.put that writes a list of count lines, and a policy that denies its entries.
func putListed(count int, line func(i int) string) func(context.Context, *namespace, int) error {
	return func(ctx context.Context, n *namespace, version int) error {
		var text bytes.Buffer
		fmt.Fprintf(&text, "listed-%d.example\n", version)
		const moved = 1000 // lines removed at the beginning and added at the end, so that every shard of the list changes
		for i := range count - 1 {
			text.WriteString(line(i + moved*version))
		}
		if err := n.putList(ctx, listName, text.Bytes()); err != nil {
			return err
		}
		return n.put(ctx, policy(marker, map[string]any{
			"allow": map[string]any{"domains": []any{"*"}},
			"deny":  map[string]any{"lists": []any{map[string]any{"configMap": map[string]any{"name": listName}}}},
		}))
	}
}

func domainLine(i int) string { return fmt.Sprintf("n%07d-mailbox.com\n", i) }
func addressLine(i int) string {
	return fmt.Sprintf("first.last%07d@company%04d.example\n", i, i%10_000)
}

func putFlood(ctx context.Context, n *namespace, version int) error {
	const first, more = 200, 20
	long := strings.Repeat("a-long-label-of-a-name-that-somebody-made-up-to-fill-a-policy.", 3)
	from, to := first+more*(version-1), first+more*version
	if version == 0 {
		from = 0
	}
	for i := from; i < to; i++ { // one at a time, because they are large
		spec := map[string]any{
			"allow": map[string]any{
				"domains":        names(1000, "a%04d."+long+"f%03d.example", i),
				"publicSuffixes": names(1000, "p%04d."+long+"f%03d.example", i),
				"addresses":      names(1000, "jo%04d@"+long+"f%03d.example", i),
			},
			"deny": map[string]any{
				"domains":   names(1000, "d%04d."+long+"f%03d.example", i),
				"addresses": names(1000, "al%04d@"+long+"f%03d.example", i),
			},
		}
		if err := n.put(ctx, policy(fmt.Sprintf("flood-%03d", i), spec)); err != nil {
			return err
		}
	}
	return putMarker(ctx, n, version)
}

// names returns count entries of a policy. The format takes the number of the entry, then the number of the policy.
func names(count int, format string, policy int) []any {
	all := make([]any, count)
	for i := range all {
		all[i] = fmt.Sprintf(format, i, policy)
	}
	return all
}

// policy returns a policy that decides calls of source.
func policy(name string, spec map[string]any) *unstructured.Unstructured {
	return scoped(name, source, spec)
}

func scoped(name, source string, spec map[string]any) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("RegistrationPolicy"))
	object.SetName(name)
	spec["appliesTo"] = map[string]any{"sources": []any{source}}
	return object
}
