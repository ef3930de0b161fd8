package manual

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/internal/oktasim"
)

// Follows the page for administrators of an Okta org, from the form of the hook to a rotated secret.
func TestThePageOfTheOktaAdministratorIsTrue(t *testing.T) {
	t.Parallel()
	p := readPage(t, "okta/connect.md")
	c := startCluster(t)
	c.create(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "registration-hook-auth"},
		StringData: map[string]string{"okta": credential + "\n"}, // with the newline that openssl prints
	})
	op := startReady(t, c.inCluster()...)
	org := newOrg(t, op)
	admin := newShell(t, "KUBECONFIG="+c.adminKubeconfig, "OKTA_ORG="+org.address, "OKTA_TOKEN="+orgToken, "HOOK_ID="+hookID,
		"POLICY_ID="+policyID)

	admin.run(t, p, "create")
	if got := org.sends(); got != (authScheme{"HEADER", authHeader, credential}) {
		t.Errorf("Okta was told to send %+v", got)
	}

	admin.write(t, "policy.yaml", p.text(t, "policy"))
	admin.command(t, "kubectl apply -n "+namespace+" -f policy.yaml")
	op.await(t, "jo@acme.com", "Allowed")
	preview := p.text(t, "preview")
	admin.write(t, "preview.json", preview)
	admin.run(t, p, "execute-allow")
	denied := op.post(t, strings.ReplaceAll(preview, "jo@acme.com", "jo@elsewhere.example")).body
	p.says(t, "deny", indented(t, denied))
	result := oktasim.Read(oktasim.SignUp, oktasim.Answer{Status: 200, ContentType: "application/json", Body: []byte(denied)})
	message := "Please sign up with your acme.com address. (Reference: " + readDebugContext(t, result).DecisionID + ")"
	if got := result.IdentityEngine; len(got) != 1 || got[0] != (oktasim.Line{Text: message, Attribute: "email"}) {
		t.Errorf("Identity Engine shows %v", got)
	}
	if got := result.Classic; len(got) != 1 || got[0] != (oktasim.Line{Text: message}) {
		t.Errorf("Classic shows %v", got)
	}

	admin.runWithJQ(t, p, "policies", func() {})
	admin.runWithJQ(t, p, "attach", func() { org.attach(map[string]any{"inlineHookId": hookID}) })

	t.Run("rotate the secret", func(t *testing.T) {
		admin.run(t, p, "rotate-add")
		c.mount(t, op)
		op.awaitLog(t, `"msg":"Credentials accepted","logger":"credentials","credentials":["okta","okta-2"]`)
		admin.runWithJQ(t, p, "replace", func() { org.takeSecret(admin.command(t, "cat okta-2")) })
		admin.command(t, `curl -sSf -X POST "$OKTA_ORG/api/v1/inlineHooks/$HOOK_ID/execute" `+
			`-H "Authorization: SSWS $OKTA_TOKEN" -H 'Content-Type: application/json' -d @preview.json`)
		used := op.get(t, "/metrics").body
		p.quotes(t, "rotate-used", used)
		if !strings.Contains(used, `credential="okta-2",result="accepted"} 1`) {
			t.Errorf("the new credential was not used:\n%s", used)
		}
		admin.run(t, p, "rotate-remove")
		c.mount(t, op)
		op.awaitLog(t, `"credentials":["okta-2"]`)
		if got := op.post(t, preview).status; got != 401 {
			t.Errorf("with the old credential: %d", got)
		}
	})
	const deactivate = `curl -sS -X POST "$OKTA_ORG/api/v1/inlineHooks/$HOOK_ID/lifecycle/deactivate" -H "Authorization: SSWS $OKTA_TOKEN"`
	var refused struct {
		ErrorCauses []struct{ ErrorSummary string }
	}
	if err := json.Unmarshal([]byte(admin.command(t, deactivate)), &refused); err != nil || len(refused.ErrorCauses) != 1 ||
		!p.names(t, `"`+refused.ErrorCauses[0].ErrorSummary+`"`) {
		t.Errorf("the page does not quote how Okta refuses to deactivate an attached hook: %v %+v", err, refused)
	}
	detach(t, admin, p, org)
	admin.run(t, p, "deactivate")
	admin.command(t, strings.Replace(deactivate, "/deactivate", "/activate", 1))
	p.complete(t)
}

// detach takes the steps of the page that attach the hook, with an empty list of hooks.
func detach(t *testing.T, admin *shell, p *page, org *org) {
	t.Helper()
	if !hasJQ() {
		org.attach()
		return
	}
	var script []string
	for _, command := range p.block(t, "attach").commands() {
		if strings.HasPrefix(command.text, "HOOKS=") {
			command.text = "HOOKS='[]'"
		}
		script = append(script, command.text)
	}
	if got := strings.TrimSpace(admin.command(t, strings.Join(script, "\n"))); got != "[]" {
		t.Errorf("after the hook is detached, the rule has %s", got)
	}
}

// mount writes the Secret with the credential into the operator's directory, as a kubelet does.
func (c *cluster) mount(t *testing.T, op *operator) {
	t.Helper()
	var secret corev1.Secret
	if err := c.client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "registration-hook-auth"}, &secret); err != nil {
		t.Fatal(err)
	}
	for key, value := range secret.Data {
		write(t, filepath.Join(op.authDir, key), string(value))
	}
	mounted, err := os.ReadDir(op.authDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range mounted {
		if _, there := secret.Data[file.Name()]; !there {
			if err := os.Remove(filepath.Join(op.authDir, file.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// indented returns a JSON text with indentation.
func indented(t *testing.T, text string) string {
	t.Helper()
	value := jsontext.Value(text)
	if err := value.Indent(jsontext.WithIndent("  ")); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return string(value)
}
