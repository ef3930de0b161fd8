package policies

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/listconfigmap"
	"registrationpolicy.dev/operator/internal/policyfile"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/chaos/history"
)

// compiler compiles the rules of a namespace from its stored objects, with the same code as the operator.
type compiler struct {
	namespace string
	reader    *policyfile.Offline
	lists     *publish.Lists
	read      map[string]rules.Policy    // policies without the entries of their lists, by name and writtenSpec.number
	compiled  map[string]*rules.Compiled // by name, writtenSpec.number and digests of the lists
	denied    *rules.Compiled            // denies all calls in the namespace's scope
}

// part is what one namespace contributes to the rules: its policies, sorted by name, or one policy that denies all
// calls in the namespace's scope.
type part struct {
	policies []*rules.Compiled
	denied   bool
	// uses says for each list in listNames whether a policy names it.
	uses [history.ListCount]bool
	// digest is equal for two parts of a namespace if they decide all calls by equal policies.
	digest string
}

func newCompiler(namespace string) (*compiler, error) {
	reader, err := policyfile.NewOffline()
	if err != nil {
		return nil, err
	}
	c := &compiler{
		namespace: namespace, reader: reader, lists: publish.NewLists(nil),
		read: map[string]rules.Policy{}, compiled: map[string]*rules.Compiled{},
	}
	all := publish.DenyNamespace(namespace, "not in force")
	if within, _, ok := scopes().Bound(all); ok {
		c.denied = rules.CompilePolicy(within)
	}
	return c, nil
}

// denyAll returns the part that denies all calls in the namespace's scope.
func (c *compiler) denyAll() part {
	return part{policies: []*rules.Compiled{c.denied}, denied: true, digest: rules.DigestOf([]*rules.Compiled{c.denied})}
}

// compile returns what the namespace contributes to the rules if its policies and lists are stored in the given states.
func (c *compiler) compile(ctx context.Context, policies *policyState, lists lists) (part, error) {
	var sizes []int64
	var read []rules.Policy
	var numbers []int
	for _, name := range slices.Sorted(maps.Keys(policies.specs)) {
		written := policies.specs[name]
		policy, err := c.readPolicy(ctx, name, written)
		if err != nil {
			return part{}, err
		}
		sizes, read, numbers = append(sizes, written.size), append(read, policy), append(numbers, written.number)
	}
	account := limits().Open(c.namespace, slices.Values(sizes))
	if account.Refusal() != "" {
		return c.denyAll(), nil
	}
	resolved, err := c.lists.Resolve(ctx, c.namespace, storedLists{c.namespace, lists}, account, read)
	if err != nil {
		return part{}, err
	}
	var compiled part
	for i := range resolved {
		for _, uses := range [][]rules.ListUse{resolved[i].Allow.Lists, resolved[i].Deny.Lists} {
			for j := range uses {
				compiled.uses[slices.Index(listNames, uses[j].Name)] = true
			}
		}
		if one := c.compilePolicy(&resolved[i], numbers[i]); one != nil {
			compiled.policies = append(compiled.policies, one)
		}
	}
	compiled.digest = rules.DigestOf(compiled.policies)
	return compiled, nil
}

// readPolicy converts a stored spec to a policy. The policy names its lists, but does not have their entries.
func (c *compiler) readPolicy(ctx context.Context, name string, written writtenSpec) (rules.Policy, error) {
	key := fmt.Sprint(name, " ", written.number)
	if policy, known := c.read[key]; known {
		return policy, nil
	}
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&v1alpha1.RegistrationPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: name}, Spec: written.spec,
	})
	if err != nil {
		return rules.Policy{}, err
	}
	read, err := c.reader.ReadObjects(ctx, []unstructured.Unstructured{{Object: object}},
		func(context.Context) ([]corev1.ConfigMap, error) { return nil, nil })
	if err != nil {
		return rules.Policy{}, err
	}
	if why := read[0].NotUnderstood; why != "" {
		return rules.Policy{}, errors.New("a random policy is not understood: " + why)
	}
	c.read[key] = read[0].Policy
	return read[0].Policy, nil
}

// compilePolicy compiles a policy, restricted to the scope of its namespace. It returns nil if the policy names only
// sources outside of the scope.
func (c *compiler) compilePolicy(policy *rules.Policy, number int) *rules.Compiled {
	identity := []any{policy.Name, number}
	for _, uses := range [][]rules.ListUse{policy.Allow.Lists, policy.Deny.Lists} {
		for i := range uses {
			digest := "none"
			if uses[i].List != nil {
				digest = uses[i].List.Digest()
			}
			identity = append(identity, digest, uses[i].Broken)
		}
	}
	key := fmt.Sprintln(identity...)
	if compiled, known := c.compiled[key]; known {
		return compiled
	}
	var compiled *rules.Compiled
	if within, _, ok := scopes().Bound(*policy); ok {
		compiled = rules.CompilePolicy(within)
	}
	c.compiled[key] = compiled
	return compiled
}

// storedLists are recorded states of lists, as [publish.Lists] reads them in place of ConfigMaps in the API server.
type storedLists struct {
	namespace string
	lists     lists
}

// Version returns a version that is different for each text of a list.
func (l storedLists) Version(name types.NamespacedName) publish.Version {
	list := l.lists[slices.Index(listNames, name.Name)]
	if !list.stored {
		return publish.Version{}
	}
	return publish.Version{UID: list.uid()}
}

// Get returns the ConfigMap of a list.
func (l storedLists) Get(_ context.Context, name types.NamespacedName, _ publish.Version) (*corev1.ConfigMap, error) {
	list := l.lists[slices.Index(listNames, name.Name)]
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: l.namespace, Name: name.Name, UID: list.uid(), Labels: listconfigmap.Labels()},
		Data:       map[string]string{"entries": list.text},
	}, nil
}

// uid returns a UID that is different for each text.
func (l *listState) uid() types.UID { return types.UID(listconfigmap.DigestOf([]byte(l.text))) }
