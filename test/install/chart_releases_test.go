package install

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/test/fixture"
)

const crdName = "registrationpolicies.registrationpolicy.dev"

// releaseArguments returns the arguments of helm install or helm upgrade for the release "hook".
func releaseArguments(verb, dir, namespace string, set ...string) []string {
	args := []string{verb, "hook", filepath.FromSlash(dir), "--namespace", namespace, "--set", "auth.existingSecret=registration-hook-auth"}
	for _, value := range set {
		args = append(args, "--set", value)
	}
	return args
}

func TestTwoReleasesInTwoNamespacesHaveNoObjectInCommon(t *testing.T) {
	first := byPlace(mustRender(t, "hook", "org-a", needed().with(settings{"watchNamespaces": []any{"org-a", "team"}})))
	second := byPlace(mustRender(t, "hook", "org-b",
		needed().with(settings{"watchNamespaces": []any{"org-b", "team"}, "crds.install": false})))
	for place := range second {
		if _, both := first[place]; both {
			t.Errorf("both have %s", place)
		}
	}
}

func TestReleasesDoNotMeetAnUpgradeCarriesTheCRDAndAnUninstallKeepsItWithThePolicies(t *testing.T) {
	const first, second, team = "org-a", "org-b", "org-team"
	c := useChartCluster(t)
	removeCRD(t, c)
	for _, namespace := range []string{first, second, team} {
		c.namespace(t, namespace)
	}
	watchTeam := "watchNamespaces={" + first + "," + team + "}"
	c.helm(t, releaseArguments("install", chartDir, first, watchTeam)...)

	_, err := output(program(t, "helm"), append(releaseArguments("install", chartDir, second), "--kubeconfig", c.kubeconfig)...)
	if want := "invalid ownership metadata"; err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("a second release with the CRD: got %v, want %q", err, want)
	}
	c.helm(t, releaseArguments("install", chartDir, second, "crds.install=false", "watchNamespaces={"+second+","+team+"}")...)

	fixture.Eventually(t, patience, func() string {
		if err := c.kube.Create(t.Context(), policy(t, team, `{allow: {domains: [acme.com]}}`)); err != nil {
			return err.Error()
		}
		return ""
	})

	c.helm(t, releaseArguments("upgrade", laterChart(t), first, watchTeam)...)
	if got := c.definition(t).Spec.Versions[0].AdditionalPrinterColumns[0].Name; got != "Later" {
		t.Errorf("after the upgrade the first column of the CRD is %q, want Later", got)
	}

	c.helm(t, "uninstall", "hook", "--namespace", first)
	if c.definition(t).DeletionTimestamp != nil {
		t.Error("the uninstall deletes the CRD")
	}
	if err := c.kube.Get(t.Context(), client.ObjectKey{Namespace: team, Name: "try"}, policy(t, team, "{}")); err != nil {
		t.Errorf("after the uninstall, the policy: %v", err)
	}
	for _, gone := range []client.Object{
		&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: first, Name: "hook-registration-policy-operator"}},
		&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: first + ".hook-registration-policy-operator"}},
	} {
		if err := c.kube.Get(t.Context(), client.ObjectKeyFromObject(gone), gone); !apierrors.IsNotFound(err) {
			t.Errorf("after the uninstall, %T: got %v, want not found", gone, err)
		}
	}
	role := &rbacv1.Role{}
	key := client.ObjectKey{Namespace: team, Name: second + ".hook-registration-policy-operator"}
	if err := c.kube.Get(t.Context(), key, role); err != nil {
		t.Errorf("the uninstall of one release took from the other: %v", err)
	}

	c.helm(t, append(releaseArguments("upgrade", chartDir, second, "crds.install=true"), "--take-ownership")...)
	if got := c.definition(t).Spec.Versions[0].AdditionalPrinterColumns[0].Name; got == "Later" {
		t.Error("the release that took the CRD over does not carry its own")
	}
	if err := c.kube.Get(t.Context(), client.ObjectKey{Namespace: team, Name: "try"}, policy(t, team, "{}")); err != nil {
		t.Errorf("after the take-over, the policy: %v", err)
	}
}

func (c *cluster) definition(t *testing.T) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	found := &apiextensionsv1.CustomResourceDefinition{}
	if err := c.kube.Get(t.Context(), client.ObjectKey{Name: crdName}, found); err != nil {
		t.Fatal(err)
	}
	return found
}

// removeCRD removes the CustomResourceDefinition that another test left.
func removeCRD(t *testing.T, c *cluster) {
	t.Helper()
	definition := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: crdName}}
	if err := client.IgnoreNotFound(c.kube.Delete(t.Context(), definition)); err != nil {
		t.Fatal(err)
	}
	fixture.Eventually(t, patience, func() string {
		if err := c.kube.Get(t.Context(), client.ObjectKeyFromObject(definition), definition); !apierrors.IsNotFound(err) {
			return "the CRD is still there"
		}
		return ""
	})
}

// shell runs a line as a person would, with kubectl on the PATH and the cluster in $KUBECONFIG.
func (c *cluster) shell(t *testing.T, line, input string) string {
	t.Helper()
	command := exec.Command("sh", "-euc", line)
	command.Stdin = strings.NewReader(input)
	command.Env = append(os.Environ(), "KUBECONFIG="+c.kubeconfig,
		"PATH="+filepath.Dir(program(t, "kubectl"))+string(os.PathListSeparator)+os.Getenv("PATH"))
	text, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, text)
	}
	return string(text)
}

func TestTheLinesOfMessageAndNotesCreateTheSecretAndPrintIt(t *testing.T) {
	const namespace, credential = "notes", "what-openssl-would-make-up"
	c := useChartCluster(t)
	c.namespace(t, namespace)

	_, err := renderChart(loadChart(t), "hook", namespace, settings{})
	if err == nil {
		t.Fatal("rendered without a Secret")
	}
	_, line, _ := strings.Cut(err.Error(), "openssl rand -hex 32 |\n")
	line, _, _ = strings.Cut(line, "\n")
	c.shell(t, line, credential+"\n")
	secret := &corev1.Secret{}
	if err := c.kube.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "registration-hook-auth"}, secret); err != nil {
		t.Fatal(err)
	}
	if got := string(secret.Data["okta"]); got != credential+"\n" {
		t.Errorf("the Secret's key okta is %q", got)
	}

	notes := renderNotes(t, namespace, settings{"ingress.enabled": true, "ingress.host": "hook.acme.com"})
	for _, want := range []string{
		"URL                    https://hook.acme.com/okta/registration\n",
		"Authentication field   Authorization\n",
		`regpol call "https://hook.acme.com/okta/registration" jo@example.com --header Authorization --credential-file -`,
		"helm test hook --namespace notes",
		"Anyone who can write a RegistrationPolicy in notes decides for the whole Okta org.",
	} {
		if !strings.Contains(notes, want) {
			t.Errorf("the notes lack %q:\n%s", want, notes)
		}
	}
	_, line, _ = strings.Cut(notes, "what this prints:\n")
	line, _, _ = strings.Cut(line, "\n")
	if got := c.shell(t, line, ""); got != credential+"\n" {
		t.Errorf("%s\nprints %q, want %q", strings.TrimSpace(line), got, credential)
	}
}

func TestTheNotesSayWhatIsMissingAndWhatIsNotEnforced(t *testing.T) {
	const nothing, observing = "Okta cannot reach the hook yet", "Observing: every call is ALLOWED"
	for name, test := range map[string]struct {
		values settings
		has    []string
		lacks  []string
	}{
		"no way to the hook": {values: settings{}, has: []string{nothing, "https://<your host>/okta/registration"}, lacks: []string{observing}},
		"an HTTPRoute": {
			values: settings{
				"httpRoute.enabled": true, "httpRoute.hostnames": []any{"route.acme.com"},
				"httpRoute.parentRefs": []any{map[string]any{"name": "public"}},
			},
			has: []string{"https://route.acme.com/okta/registration"}, lacks: []string{nothing},
		},
		"an observer":   {values: settings{"observe": true}, has: []string{observing}},
		"a key by name": {values: settings{"auth.keys": []any{"okta.2026"}}, has: []string{`{{index .data "okta.2026" | base64decode}}`}},
	} {
		t.Run(name, func(t *testing.T) {
			notes := renderNotes(t, "okta", test.values)
			for _, want := range test.has {
				if !strings.Contains(notes, want) {
					t.Errorf("the notes lack %q:\n%s", want, notes)
				}
			}
			for _, bad := range test.lacks {
				if strings.Contains(notes, bad) {
					t.Errorf("the notes have %q:\n%s", bad, notes)
				}
			}
		})
	}
}

func renderNotes(t *testing.T, namespace string, s settings) string {
	t.Helper()
	texts, err := renderChart(loadChart(t), "hook", namespace, needed().with(s))
	if err != nil {
		t.Fatal(err)
	}
	return texts["NOTES.txt"]
}

func TestHelmTestCallsTheHookWithTheCredentialItHas(t *testing.T) {
	for name, test := range map[string]struct {
		values settings
		want   []string
	}{
		"plain HTTP, any key": {settings{}, []string{
			"call", "http://hook-registration-policy-operator.okta.svc:80/okta/registration", "preview@example.com", "--plain-http",
			"--header=Authorization", "--credential-file=/etc/registration-policy/hook-auth/okta", "--accept-denial",
		}},
		"TLS, one key": {settings{"hook.tls.existingSecret": "tls", "auth.keys": []any{"new", "old"}, "service.port": 443}, []string{
			"call", "https://hook-registration-policy-operator.okta.svc:443/okta/registration", "preview@example.com",
			"--ca-file=/etc/registration-policy/hook-ca/ca.crt", "--header=Authorization",
			"--credential-file=/etc/registration-policy/hook-auth/new", "--accept-denial",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			objects := mustRender(t, "hook", "okta", needed().with(test.values))
			pod := find(t, objects, "Pod", "hook-registration-policy-operator-call")
			containers, _, _ := unstructured.NestedSlice(pod.Object, "spec", "containers")
			got, _, _ := unstructured.NestedStringSlice(containers[0].(map[string]any), "args")
			if strings.Join(got, "\n") != strings.Join(test.want, "\n") {
				t.Errorf("got %q, want %q", got, test.want)
			}
			hook := find(t, objects, "Service", "hook-registration-policy-operator")
			selector, _, _ := unstructured.NestedStringMap(hook.Object, "spec", "selector")
			if labels := pod.GetLabels(); selector["app.kubernetes.io/component"] == labels["app.kubernetes.io/component"] {
				t.Error("the Service selects the pod of helm test")
			}
		})
	}
}
