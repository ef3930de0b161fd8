package install

import (
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"registrationpolicy.dev/operator/api/v1alpha1"
)

// listSyncSuffix is the end of the names of the objects that synchronise the lists of an installation.
const listSyncSuffix = "-list-sync"

// listSyncRights are all rights of the ServiceAccount that synchronises lists.
var listSyncRights = []string{
	"create /configmaps", "delete /configmaps", "get /configmaps", "list /configmaps", "patch /configmaps", "update /configmaps",
	"create events.k8s.io/events", "list registrationpolicy.dev/registrationpolicies",
}

// wantListSync runs the real regpol with the ServiceAccount's token. It makes all requests to the API server that a
// CronJob makes, and once requests in a namespace without rights.
func (c *cluster) wantListSync(t *testing.T, accountNamespace, namespace, name string) {
	t.Helper()
	policy := &v1alpha1.RegistrationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "lists"}}
	policy.Spec.Allow = &v1alpha1.Allow{Domains: []v1alpha1.AllowDomain{"acme.com"}}
	if err := c.kube.Create(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
	content := largeList("one")
	source := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, content) }))
	t.Cleanup(source.Close)
	dir := t.TempDir()
	ca, kubeconfig := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "kubeconfig")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: source.Certificate().Raw})
	if err := os.WriteFile(ca, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	c.writeTokenKubeconfig(t, accountNamespace, name, kubeconfig)
	regpol := func(want int, namespace string, args ...string) {
		t.Helper()
		args = append(append([]string{"lists"}, args...), "--namespace="+namespace, "--kubeconfig="+kubeconfig)
		out, err := exec.CommandContext(t.Context(), program(t, "regpol"), args...).CombinedOutput()
		code := 0
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			code = exit.ExitCode()
		} else if err != nil {
			t.Fatal(err)
		}
		if code != want || strings.Contains(string(out), "warning") { // it warns, for example, if it may not write an Event
			t.Errorf("regpol %v: exit code %d, want %d\n%s", args, code, want, out)
		}
	}
	sync := []string{"sync", "disposable", source.URL, "--ca-file=" + ca}
	regpol(0, namespace, sync...)
	regpol(0, namespace, sync...)
	content = largeList("two") + "acme.com\n"
	regpol(1, namespace, sync...)
	content = largeList("two")
	regpol(0, namespace, sync...)                  // labels the version that it replaces
	regpol(0, namespace, "rollback", "disposable") // removes labels
	regpol(3, accountNamespace, sync...)
	told := c.kubectl(t, "get", "events.events.k8s.io", "--namespace", namespace, "--output", "jsonpath={.items[*].reason}")
	for _, reason := range []string{"ListSynced", "ListRefused"} {
		if !strings.Contains(told, reason) {
			t.Errorf("no Event %s among %s", reason, told)
		}
	}
	if err := c.kube.Delete(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
}

// largeList returns a list that is too large for one ConfigMap. mark is part of its first line.
func largeList(mark string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "first.%s.example\n", mark)
	for i := range 60_000 {
		fmt.Fprintf(&text, "a-throwaway-domain-%d.example\n", i)
	}
	return text.String()
}

// writeTokenKubeconfig writes a kubeconfig with a token of a ServiceAccount, as a pod would have it.
func (c *cluster) writeTokenKubeconfig(t *testing.T, namespace, name, file string) {
	t.Helper()
	token, err := c.clientset.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), name,
		&authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	err = clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{
			"cluster": {Server: c.config.Host, CertificateAuthorityData: c.config.CAData},
		},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"account": {Token: token.Status.Token}},
		Contexts:       map[string]*clientcmdapi.Context{"account": {Cluster: "cluster", AuthInfo: "account"}},
		CurrentContext: "account",
	}, file)
	if err != nil {
		t.Fatal(err)
	}
}
