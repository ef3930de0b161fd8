package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/gitrevision"
	"registrationpolicy.dev/operator/internal/listconfigmap"
	"registrationpolicy.dev/operator/internal/policyfile"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/rules"
)

// apiTimeout limits each request to the API server, so that a person does not wait longer for a server that is
// unreachable.
const apiTimeout = 15 * time.Second

// policySource holds the flags that say where policies come from.
type policySource struct {
	paths           []string              // files and directories; without any, the cluster
	recursive       bool                  // also those below the directories of paths
	revision        *gitrevision.Revision // of the paths; nil for the files on the disk
	mayLackPaths    bool                  // a path that the revision does not have is a warning, not an error
	cluster         clusterOptions
	watchNamespaces []string
	asDeployed      string // a Deployment of the operator, NAMESPACE/NAME or NAME; "" for none
	pathFlag        string // the flag or argument for paths, as errors name it; default: --policies
}

// addClusterFlags adds the flags that select a cluster and namespaces.
func (o *policySource) addClusterFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.cluster.kubeconfig, "kubeconfig", "", "kubeconfig of the cluster; default: as kubectl")
	flags.StringVar(&o.cluster.context, "context", "", "context of the kubeconfig; default: the current one")
	flags.StringVarP(&o.cluster.namespace, "namespace", "n", "", "namespace of the policies; default: that of the context")
	flags.StringSliceVar(&o.watchNamespaces, "watch-namespaces", nil, "namespaces of the policies, if the operator watches several")
}

// addAsDeployedFlag adds the flag that names a Deployment of the operator.
func (o *policySource) addAsDeployedFlag(flags *pflag.FlagSet) {
	flags.StringVar(&o.asDeployed, "as-deployed", "",
		"take the operator's flags that are not given here from its Deployment: NAMESPACE/NAME, or NAME with -n")
}

// policySet holds the policies that a verb has read.
type policySet struct {
	all             []policyfile.ReadPolicy // sorted by name
	files           []string                // the files and directories, unless the policies come from a cluster
	namespaces      []string                // the namespaces that were read, if the policies come from a cluster
	emptyNamespaces []string                // those of namespaces that have no policy
	otherObjects    []string                // file, line and kind of each object of the files that is not a policy or list
	missingPaths    []string                // the files that the revision does not have
	recursive       bool                    // the files include those below directories
}

// noPolicy returns the error about files or namespaces without a policy.
func (f *policySet) noPolicy() error {
	if len(f.files) > 0 {
		give := "give a file or directory that has RegistrationPolicies, or -R for the directories below"
		if f.recursive {
			give = "give a file or directory that has RegistrationPolicies"
		}
		return fmt.Errorf("no policy in %s: %s; an operator without a policy denies every registration", strings.Join(f.files, ", "), give)
	}
	return fmt.Errorf("no policy in namespace %s: apply one, or choose another --namespace or --context; "+
		"an operator without a policy denies every registration", strings.Join(f.namespaces, ", "))
}

// warnings returns the warnings about what was read.
func (f *policySet) warnings() []string {
	var warnings []string
	for _, path := range f.missingPaths {
		warnings = append(warnings, path+" is not there: compared with no policy, which denies every registration")
	}
	for _, other := range f.otherObjects {
		warnings = append(warnings, "ignored, because it is not a policy: "+other)
	}
	if len(f.all) > 0 {
		for _, namespace := range f.emptyNamespaces {
			warnings = append(warnings, "no policy in namespace "+namespace)
		}
	}
	return warnings
}

func (f *policySet) rules() []rules.Policy {
	policies := make([]rules.Policy, len(f.all))
	for i := range f.all {
		policies[i] = f.all[i].Policy
	}
	return policies
}

func (o *policySource) read(ctx context.Context, stdin io.Reader) (*policySet, error) {
	reader, err := policyfile.NewOffline()
	if err != nil {
		return nil, err
	}
	found := &policySet{}
	if len(o.paths) > 0 {
		found.recursive = o.recursive
		err := o.readPaths(ctx, found, func(paths []string) (err error) {
			found.all, err = reader.ReadFiles(ctx, paths, stdin)
			return err
		}, func(texts []policyfile.Text) (err error) {
			found.all, err = reader.ReadTexts(ctx, texts)
			return err
		})
		if err != nil {
			return nil, err
		}
		found.otherObjects = reader.Others()
	} else if err := o.readCluster(ctx, reader, found); err != nil {
		return nil, err
	}
	slices.SortFunc(found.all, func(a, b policyfile.ReadPolicy) int { return a.Compare(b.PolicyName) })
	return found, nil
}

// readPaths calls onDisk with the paths, those of directories below included if o.recursive; or inRevision with the files
// at the paths in the revision.
func (o *policySource) readPaths(
	ctx context.Context, found *policySet, onDisk func([]string) error, inRevision func([]policyfile.Text) error,
) error {
	if o.revision == nil {
		found.files = o.paths
		paths := o.paths
		if o.recursive {
			var err error
			if paths, err = directories(o.paths); err != nil {
				return err
			}
		}
		return onDisk(paths)
	}
	var texts []policyfile.Text
	for _, path := range o.paths {
		if path == "-" {
			return errStdinRevision
		}
		label := o.revision.Label(path)
		found.files = append(found.files, label)
		files, err := o.revision.Files(ctx, path, gitrevision.Selection{
			Recursive: o.recursive, Keep: policyfile.IsPolicyFile, MaxBytes: policyfile.MaxFile,
		})
		if _, missing := errors.AsType[*gitrevision.NotFoundError](err); missing && o.mayLackPaths {
			found.missingPaths = append(found.missingPaths, label)
			continue
		}
		if err != nil {
			return err
		}
		for _, file := range files {
			texts = append(texts, policyfile.Text{Name: o.revision.Label(file.Path), Text: file.Text})
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
func (o *policySource) readCluster(ctx context.Context, reader *policyfile.Offline, found *policySet) error {
	return o.visitCluster(ctx, found, func(objects []unstructured.Unstructured, lists listReader) error {
		policies, err := reader.ReadObjects(ctx, objects, lists)
		found.all = append(found.all, policies...)
		return err
	})
}

// listReader returns the ConfigMaps with lists of a namespace.
type listReader = func(context.Context) ([]corev1.ConfigMap, error)

// visitCluster calls visit with the policies of each namespace of a cluster, and sets the namespaces of found. An error
// of visit is one of the listReader.
func (o *policySource) visitCluster(
	ctx context.Context, found *policySet, visit func([]unstructured.Unstructured, listReader) error,
) error {
	config, namespace, err := o.cluster.load(
		fmt.Errorf("no policies: give files with %s, or a cluster with --kubeconfig or KUBECONFIG", cmp.Or(o.pathFlag, "--policies")))
	if err != nil {
		return err
	}
	namespaces := o.watchNamespaces
	if len(namespaces) == 0 {
		namespaces = []string{namespace}
	}
	namespaces = slices.Compact(slices.Sorted(slices.Values(namespaces)))
	found.namespaces = namespaces
	cluster, err := client.New(config, client.Options{Mapper: policyobject.Mapper()})
	if err != nil {
		return fmt.Errorf("kubeconfig: %w", err)
	}
	for _, namespace := range namespaces {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("RegistrationPolicyList"))
		if err := cluster.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return listError(err, "registrationpolicies."+v1alpha1.GroupVersion.Group, namespace, config.Host)
		}
		err := visit(list.Items, func(ctx context.Context) ([]corev1.ConfigMap, error) {
			var lists corev1.ConfigMapList
			err := cluster.List(ctx, &lists, client.InNamespace(namespace), client.MatchingLabels(listconfigmap.Labels()))
			return lists.Items, err
		})
		if err != nil {
			return listError(err, "configmaps", namespace, config.Host)
		}
		if len(list.Items) == 0 {
			found.emptyNamespaces = append(found.emptyNamespaces, namespace)
		}
	}
	return nil
}

// listError turns an error of the API server into a sentence with the fix. resource is what could not be listed:
// configmaps, or registrationpolicies with their API group.
func listError(err error, resource, namespace, host string) error {
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("the cluster at %s does not know RegistrationPolicies: install the CustomResourceDefinition "+
			"(kubectl apply -k config/crd), or choose another --context", host)
	case apierrors.IsForbidden(err) && resource == "configmaps":
		return fmt.Errorf("you may not list configmaps in namespace %s, and its policies use lists that are kept there: "+
			"ask for the right to list configmaps", namespace)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("you may not list %s in namespace %s: ask for the viewer role of policies there, "+
			"or choose another --context or --namespace", resource, namespace)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("the API server at %s rejects your credentials: log in again, or choose another --context", host)
	case apierrors.ReasonForError(err) != "":
		return fmt.Errorf("the API server at %s does not list the %s of namespace %s: %w", host, resource, namespace, err)
	default:
		return fmt.Errorf("the API server at %s cannot be reached: %w; look at --kubeconfig and --context", host, err)
	}
}
