package install

import (
	"context"
	"os"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// tokenMounted reports whether the pod gets a token: as automountServiceAccountToken of the pod says, or of its
// ServiceAccount if the pod does not say, or else true.
func (n *node) tokenMounted(ctx context.Context, object *corev1.Pod) (bool, error) {
	if mount := object.Spec.AutomountServiceAccountToken; mount != nil {
		return *mount, nil
	}
	var account corev1.ServiceAccount
	key := client.ObjectKey{Namespace: object.Namespace, Name: object.Spec.ServiceAccountName}
	if err := n.cluster.kube.Get(ctx, key, &account); err != nil {
		return false, err
	}
	return account.AutomountServiceAccountToken == nil || *account.AutomountServiceAccountToken, nil
}

// writeKubeconfig writes a kubeconfig with a token of the ServiceAccount that is bound to the pod.
func (n *node) writeKubeconfig(ctx context.Context, object *corev1.Pod, file string) error {
	token, err := n.cluster.clientset.CoreV1().ServiceAccounts(object.Namespace).CreateToken(ctx, object.Spec.ServiceAccountName,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
			BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: object.Name, UID: object.UID},
		}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	text, err := clientcmd.Write(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{
			"cluster": {Server: n.cluster.config.Host, CertificateAuthorityData: n.cluster.config.CAData},
		},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"pod": {Token: token.Status.Token}},
		Contexts:       map[string]*clientcmdapi.Context{"pod": {Cluster: "cluster", AuthInfo: "pod", Namespace: object.Namespace}},
		CurrentContext: "pod",
	})
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}
