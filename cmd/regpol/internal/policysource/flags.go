package policysource

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/cmd/regpol/internal/cluster"
	"registrationpolicy.dev/operator/internal/gitrevision"
	"registrationpolicy.dev/operator/internal/listconfigmap"
	"registrationpolicy.dev/operator/internal/policyfile"
	"registrationpolicy.dev/operator/internal/policyobject"
)

// Location holds the flags that say where policies come from: files, or a Cluster.
type Location struct {
	Paths           []string              // files and directories; without any, the cluster
	Recursive       bool                  // also those below the directories of paths
	Revision        *gitrevision.Revision // of the paths; nil for the files on the disk
	MayLackPaths    bool                  // a path that the revision does not have is a warning, not an error
	Cluster         cluster.Options
	watchNamespaces []string
	AsDeployed      string // a Deployment of the operator, NAMESPACE/NAME or NAME; "" for none
	PathFlag        string // the flag or argument for paths, as errors name it; default: --policies
}

// AddClusterFlags adds the flags that select a cluster and namespaces.
func (o *Location) AddClusterFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.Cluster.Kubeconfig, "kubeconfig", "", "kubeconfig of the cluster; default: as kubectl")
	flags.StringVar(&o.Cluster.Context, "context", "", "context of the kubeconfig; default: the current one")
	flags.StringVarP(&o.Cluster.Namespace, "namespace", "n", "", "namespace of the policies; default: that of the context")
	flags.StringSliceVar(&o.watchNamespaces, "watch-namespaces", nil, "namespaces of the policies, if the operator watches several")
}

// AddAsDeployedFlag adds the flag that names a Deployment of the operator.
func (o *Location) AddAsDeployedFlag(flags *pflag.FlagSet) {
	flags.StringVar(&o.AsDeployed, "as-deployed", "",
		"take the operator's flags that are not given here from its Deployment: NAMESPACE/NAME, or NAME with -n")
}

// ExclusiveClusterFlags are pairs of flags that exclude each other in a verb with --policies. With --as-deployed, which
// reads a cluster, the verb accepts both flags of a pair.
var ExclusiveClusterFlags = [][]string{
	{"policies", "kubeconfig"}, {"policies", "context"}, {"policies", "namespace"}, {"namespace", "watch-namespaces"},
}

// Read reads the policies, sorted by name.
func (o *Location) Read(ctx context.Context, stdin io.Reader) (*Set, error) {
	reader, err := policyfile.NewOffline()
	if err != nil {
		return nil, err
	}
	found := &Set{}
	if len(o.Paths) > 0 {
		found.recursive = o.Recursive
		err := o.readPaths(ctx, found, func(paths []string) (err error) {
			found.Policies, err = reader.ReadFiles(ctx, paths, stdin)
			return err
		}, func(texts []policyfile.Text) (err error) {
			found.Policies, err = reader.ReadTexts(ctx, texts)
			return err
		})
		if err != nil {
			return nil, err
		}
		found.otherObjects = reader.Others()
	} else if err := o.readCluster(ctx, reader, found); err != nil {
		return nil, err
	}
	slices.SortFunc(found.Policies, func(a, b policyfile.ReadPolicy) int { return a.Compare(b.PolicyName) })
	return found, nil
}

// readPaths calls onDisk with the paths or, if o.Revision is set, inRevision with the files at the paths in the
// revision. If o.Recursive is set, both include the directories below the paths.
func (o *Location) readPaths(
	ctx context.Context, found *Set, onDisk func([]string) error, inRevision func([]policyfile.Text) error,
) error {
	if o.Revision == nil {
		found.files = o.Paths
		paths := o.Paths
		if o.Recursive {
			var err error
			if paths, err = directories(o.Paths); err != nil {
				return err
			}
		}
		return onDisk(paths)
	}
	var texts []policyfile.Text
	for _, path := range o.Paths {
		if path == "-" {
			return errStdinRevision
		}
		label := o.Revision.Label(path)
		found.files = append(found.files, label)
		files, err := o.Revision.Files(ctx, path, gitrevision.Selection{
			Recursive: o.Recursive, Keep: policyfile.IsPolicyFile, MaxBytes: policyfile.MaxFile,
		})
		if _, missing := errors.AsType[*gitrevision.NotFoundError](err); missing && o.MayLackPaths {
			found.missingPaths = append(found.missingPaths, label)
			continue
		}
		if err != nil {
			return err
		}
		for _, file := range files {
			texts = append(texts, policyfile.Text{Name: o.Revision.Label(file.Path), Text: file.Text})
		}
	}
	return inRevision(texts)
}

var errStdinRevision = errors.New("--at belongs to files and directories, not to standard input: write their paths")

// directories returns the paths, each directory followed by those below it.
func directories(paths []string) ([]string, error) {
	var all []string
	for _, path := range paths {
		below, err := policyfile.Directories(path)
		if err != nil {
			return nil, err
		}
		all = append(all, below...)
	}
	return all, nil
}

// readCluster reads policies and their lists from a cluster, as the operator does.
func (o *Location) readCluster(ctx context.Context, reader *policyfile.Offline, found *Set) error {
	return o.visitCluster(ctx, found, func(objects []unstructured.Unstructured, lists listReader) error {
		policies, err := reader.ReadObjects(ctx, objects, lists)
		found.Policies = append(found.Policies, policies...)
		return err
	})
}

// listReader returns the ConfigMaps with lists of a namespace.
type listReader = func(context.Context) ([]corev1.ConfigMap, error)

// visitCluster calls visit for each namespace that the flags select, with its policies and a function that lists its
// ConfigMaps. It sets found.namespaces and found.emptyNamespaces. visit must fail only if that function fails:
// visitCluster reports its error as a failure to list ConfigMaps.
func (o *Location) visitCluster(
	ctx context.Context, found *Set, visit func([]unstructured.Unstructured, listReader) error,
) error {
	config, namespace, err := o.Cluster.Load(
		fmt.Errorf("no policies: give files with %s, or a cluster with --kubeconfig or KUBECONFIG", cmp.Or(o.PathFlag, "--policies")))
	if err != nil {
		return err
	}
	namespaces := o.watchNamespaces
	if len(namespaces) == 0 {
		namespaces = []string{namespace}
	}
	namespaces = slices.Compact(slices.Sorted(slices.Values(namespaces)))
	found.namespaces = namespaces
	kube, err := client.New(config, client.Options{Mapper: policyobject.Mapper()})
	if err != nil {
		return fmt.Errorf("kubeconfig: %w", err)
	}
	for _, namespace := range namespaces {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("RegistrationPolicyList"))
		if err := kube.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return cluster.ListError(err, "registrationpolicies."+v1alpha1.GroupVersion.Group, namespace, config.Host)
		}
		err := visit(list.Items, func(ctx context.Context) ([]corev1.ConfigMap, error) {
			var lists corev1.ConfigMapList
			err := kube.List(ctx, &lists, client.InNamespace(namespace), client.MatchingLabels(listconfigmap.Labels()))
			return lists.Items, err
		})
		if err != nil {
			return cluster.ListError(err, "configmaps", namespace, config.Host)
		}
		if len(list.Items) == 0 {
			found.emptyNamespaces = append(found.emptyNamespaces, namespace)
		}
	}
	return nil
}
