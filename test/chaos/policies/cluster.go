package policies

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"registrationpolicy.dev/operator/test/apiserver"
	"registrationpolicy.dev/operator/test/chaos/fleet"
)

// HookName is the name of the operator's Service.
const HookName = "hook"

// PodLabels is the selector of the Service.
var PodLabels = map[string]string{"app.kubernetes.io/name": "registration-policy-operator"}

// Install creates in a new cluster what `config` installs: the CustomResourceDefinition, the operator's namespace with
// its Service, whose port is hookPort, and its rights in each namespace. It returns an administrator's client, and the operator's Role.
func Install(ctx context.Context, plane *fleet.Plane, hookPort int) (client.Client, *rbacv1.Role, error) {
	ctrllog.SetLogger(logr.Discard()) // hides the errors of the simulated controllers while the API server is unreachable
	klog.SetLogger(logr.Discard())
	if _, err := envtest.InstallCRDs(plane.Config, envtest.CRDInstallOptions{
		Paths: []string{filepath.Join("config", "crd", "bases")}, ErrorIfPathMissing: true,
	}); err != nil {
		return nil, nil, err
	}
	scheme, err := apiserver.Scheme()
	if err != nil {
		return nil, nil, err
	}
	admin, err := client.New(plane.Config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, nil, err
	}
	role := &rbacv1.Role{}
	text, err := os.ReadFile(filepath.Join("config", "rbac", "role.yaml"))
	if err != nil {
		return nil, nil, fmt.Errorf("run it in the work tree: %w", err)
	}
	if err := yaml.UnmarshalStrict(text, role); err != nil {
		return nil, nil, err
	}
	var objects []client.Object
	for _, namespace := range Namespaces() {
		objects = append(objects, NamespaceObject(namespace), RoleIn(namespace, role), BindingIn(namespace, role))
	}
	objects = append(objects, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: Own, Name: HookName},
		Spec:       corev1.ServiceSpec{Selector: PodLabels, Ports: []corev1.ServicePort{{Name: "hook", Port: int32(hookPort)}}},
	})
	for _, object := range objects {
		if err := admin.Create(ctx, object); err != nil {
			return nil, nil, fmt.Errorf("create %s: %w", object.GetName(), err)
		}
	}
	return admin, role, nil
}

// NamespaceObject returns a namespace.
func NamespaceObject(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// RoleIn returns the Role of the operator in a namespace.
func RoleIn(namespace string, role *rbacv1.Role) *rbacv1.Role {
	role = role.DeepCopy()
	role.Namespace = namespace
	return role
}

// BindingIn returns the RoleBinding of the operator in a namespace.
func BindingIn(namespace string, role *rbacv1.Role) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: fleet.OperatorUser}},
	}
}
