package main

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

// hookName is the name of the operator's Service.
const hookName = "hook"

// podLabels is the selector of the Service.
var podLabels = map[string]string{"app.kubernetes.io/name": "registration-policy-operator"}

// install creates in a new cluster what `config` installs: the CustomResourceDefinition, the operator's namespace with
// its Service, and its rights in each namespace. It returns an administrator's client, and the operator's Role.
func install(ctx context.Context, plane *fleet.Plane) (client.Client, *rbacv1.Role, error) {
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
	for _, namespace := range namespaces() {
		objects = append(objects, namespaceObject(namespace), roleIn(namespace, role), bindingIn(namespace, role))
	}
	objects = append(objects, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: own, Name: hookName},
		Spec:       corev1.ServiceSpec{Selector: podLabels, Ports: []corev1.ServicePort{{Name: "hook", Port: int32(ports.Hook)}}},
	})
	for _, object := range objects {
		if err := admin.Create(ctx, object); err != nil {
			return nil, nil, fmt.Errorf("create %s: %w", object.GetName(), err)
		}
	}
	return admin, role, nil
}

func namespaceObject(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func roleIn(namespace string, role *rbacv1.Role) *rbacv1.Role {
	role = role.DeepCopy()
	role.Namespace = namespace
	return role
}

// bindingIn returns the RoleBinding of the operator in a namespace.
func bindingIn(namespace string, role *rbacv1.Role) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: fleet.OperatorUser}},
	}
}
