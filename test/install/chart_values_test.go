package install

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestWithoutASecretTheTemplateFailsWithTheTwoLinesThatCreateOne(t *testing.T) {
	_, err := renderChart(loadChart(t), "try", "okta", settings{})
	if err == nil {
		t.Fatal("rendered")
	}
	want := `auth.existingSecret is required: a Secret whose keys each hold a credential that Okta may send, ` +
		`16 to 1024 visible ASCII characters. To create one:

  openssl rand -hex 32 |
    kubectl create secret generic registration-hook-auth --namespace okta --from-file=okta=/dev/stdin
`
	if !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestValuesThatCannotBeAreRefusedWithTheirReason(t *testing.T) {
	for name, test := range map[string]struct {
		values settings
		want   string
	}{
		"a misspelt name":            {settings{"replicaCout": 3}, `additional properties 'replicaCout' not allowed`},
		"a misspelt name further in": {settings{"hook.Path": "/"}, `at '/hook': additional properties 'Path' not allowed`},
		"a number as text":           {settings{"replicaCount": "2"}, `at '/replicaCount': got string, want integer`},
		"a truth as text":            {settings{"observe": "true"}, `at '/observe': got string, want boolean`},
		"a list as text":             {settings{"watchNamespaces": "team-a"}, `at '/watchNamespaces': got string, want array`},
		"no replicas":                {settings{"replicaCount": 0}, `at '/replicaCount': minimum: got 0, want 1`},
		"a name that is no namespace": {
			settings{"watchNamespaces": []any{"Team A"}}, `at '/watchNamespaces/0': 'Team A' does not match pattern`,
		},
		"a key that the operator would not read": {
			settings{"auth.keys": []any{".okta"}}, `at '/auth/keys/0': '.okta' does not match pattern`,
		},
		"a header that is none": {settings{"auth.header": "X Key"}, `at '/auth/header': 'X Key' does not match pattern`},
		"a header with a meaning of its own": {
			settings{"auth.header": "content-type"}, `auth.header: content-type has a meaning of its own and cannot hold a credential`,
		},
		"a text with markup":           {settings{"texts.notAllowed": "Ask <b>us</b>"}, `at '/texts/notAllowed': 'Ask <b>us</b>' does not match pattern`},
		"a text of two lines":          {settings{"texts.invalid": "One\nTwo"}, `at '/texts/invalid'`},
		"a text of a page":             {settings{"texts.unavailable": strings.Repeat("x", 1001)}, `at '/texts/unavailable': maxLength: got 1,001, want 1,000`},
		"an attribute's long name":     {settings{"addressAttributes": []any{strings.Repeat("x", 65)}}, `at '/addressAttributes/0': maxLength`},
		"a source that is none":        {settings{"namespaceSources": map[string]any{"okta": []any{"rul-1"}}}, `at '/namespaceSources/okta/0': 'rul-1' does not match`},
		"a limit that is no size":      {settings{"namespaceLimits": map[string]any{"okta": "big"}}, `at '/namespaceLimits/okta': 'big' does not match`},
		"a duration of half a second":  {settings{"drainDelay": "500ms"}, `at '/drainDelay': '500ms' does not match pattern`},
		"a duration without a unit":    {settings{"shutdownTimeout": "5"}, `at '/shutdownTimeout': '5' does not match pattern`},
		"no time for calls in flight":  {settings{"shutdownTimeout": "2s"}, `shutdownTimeout is 2s; write 3s to 5m`},
		"ages for calls in flight":     {settings{"shutdownTimeout": "5m1s"}, `shutdownTimeout is 5m1s; write 3s to 5m`},
		"a stop before proxies know":   {settings{"drainDelay": "8s"}, `drainDelay is 8s; write 9s to 5m`},
		"no drain at all":              {settings{"drainDelay": "0s"}, `drainDelay is 0s; write 9s to 5m`},
		"a drain as long as a rollout": {settings{"drainDelay": "10m"}, `drainDelay is 10m; write 9s to 5m`},
		"a drain without end":          {settings{"drainDelay": "99999999999999999999s"}, `at '/drainDelay'`},
		"a drain of nodes that takes the one replica": {
			settings{"replicaCount": 1}, `podDisruptionBudget.maxUnavailable=1 leaves none of 1 replicas`,
		},
		"a drain of nodes that takes all replicas": {
			settings{"replicaCount": 3, "podDisruptionBudget.maxUnavailable": 3}, `podDisruptionBudget.maxUnavailable=3 leaves none of 3 replicas`,
		},
		"a percentage that is rounded up to all replicas": {
			settings{"podDisruptionBudget.maxUnavailable": "51%"}, `podDisruptionBudget.maxUnavailable=51% leaves none of 2 replicas`,
		},
		"a drain of nodes that takes all that the autoscaler leaves": {
			settings{"autoscaling.enabled": true, "autoscaling.minReplicas": 1}, `leaves none of 1 replicas`,
		},
		"an autoscaler that must and may not": {
			settings{"autoscaling.enabled": true, "autoscaling.minReplicas": 6}, `autoscaling.minReplicas is 6, more than autoscaling.maxReplicas`,
		},
		"a path that is none":            {settings{"hook.path": "okta"}, `at '/hook/path': 'okta' does not match pattern`},
		"the port of the probes":         {settings{"hook.port": 8081}, `at '/hook/port': 'not' failed`},
		"an unknown level":               {settings{"logging.level": "trace"}, `at '/logging/level': value must be one of`},
		"a digest without its algorithm": {settings{"image.digest": "0123"}, `at '/image/digest': '0123' does not match pattern`},
		"an Ingress without a host":      {settings{"ingress.enabled": true}, `ingress.host is required with ingress.enabled=true`},
		"a URL as host":                  {settings{"ingress.host": "https://a.b"}, `at '/ingress/host': 'https://a.b' does not match pattern`},
		"an HTTPRoute without a Gateway": {
			settings{"httpRoute.enabled": true}, `httpRoute.parentRefs is required with httpRoute.enabled=true`,
		},
		"a Certificate without an issuer": {
			settings{"certificate.enabled": true, "certificate.dnsNames": []any{"a.b"}, "certificate.secretName": "a"},
			`certificate.issuerRef.name is required with certificate.enabled=true`,
		},
		"an account that nobody creates or names": {settings{"serviceAccount.create": false}, `serviceAccount.name is required`},
		"bounds for a namespace that is not watched": {
			settings{"namespaceSources": map[string]any{"team-a": []any{"rul1"}}},
			`namespaceSources.team-a: this namespace is not watched; add it to watchNamespaces`,
		},
		"a limit for a namespace that is not watched": {
			settings{"namespaceLimits": map[string]any{"team-a": "16Mi"}},
			`namespaceLimits.team-a: this namespace is not watched; add it to watchNamespaces`,
		},
		"lists to synchronise, and none named": {settings{"listSync.enabled": true}, `listSync.lists is required`},
		"a list for a namespace that is not watched": {
			settings{"listSync.enabled": true, "listSync.lists": []any{map[string]any{
				"name": "a", "url": "https://lists.example.com/a", "namespace": "team-a",
			}}},
			`listSync.lists: a is for namespace team-a, which is not watched`,
		},
		"a list from an http URL": {
			settings{"listSync.lists": []any{map[string]any{"name": "a", "url": "http://lists.example.com/a"}}}, `at '/listSync/lists/0/url'`,
		},
		"a list from a URL with a password": {
			settings{"listSync.lists": []any{map[string]any{"name": "a", "url": "https://jo:secret@lists.example.com/a"}}},
			`at '/listSync/lists/0/url'`,
		},
		"tokens of any client": {
			oauthSettings.with(settings{"auth.oauth.clientIDs": []any{}}), `auth.oauth.clientIDs is required with auth.oauth.issuer`,
		},
		"tokens of nobody": {settings{"auth.oauth.scope": "s"}, `auth.oauth.issuer is required with the other values of auth.oauth`},
		"an issuer over http": {
			oauthSettings.with(settings{"auth.oauth.issuer": "http://acme.okta.com"}), `at '/auth/oauth/issuer': 'http://acme.okta.com' does not match`,
		},
		"a watch that is given less than a bookmark's time": {
			settings{"maxStaleness": "1m59s"}, `at '/maxStaleness': '1m59s' does not match`,
		},
		"the same in seconds": {
			settings{"maxStaleness": "119s"}, `at '/maxStaleness': '119s' does not match`,
		},
		"a fence after less than two reports": {
			settings{"fenceAfter": "29s"}, `at '/fenceAfter': '29s' does not match`,
		},
		"a fence at once": {
			settings{"fenceAfter": "0s"}, `at '/fenceAfter': '0s' does not match`,
		},
		"a volume that a snapshot would fill": {
			settings{"snapshot.sizeLimit": "256Mi"}, `at '/snapshot/sizeLimit': '256Mi' does not match`,
		},
		"a release that is no part of an umbrella chart and switched off": {
			settings{"enabled": false}, `enabled=false is only for the condition of an umbrella chart`,
		},
		"health at a path that is none": {settings{"hook.healthPath": "healthz"}, `at '/hook/healthPath': 'healthz' does not match pattern`},
		"health at the path of the hook": {
			settings{"hook.healthPath": "/okta/registration/"}, `hook.healthPath is the path of the hook: write another, such as /healthz`,
		},
		"pods of root":           {settings{"podSecurityContext.runAsUser": 0}, `at '/podSecurityContext/runAsUser': minimum: got 0, want 1`},
		"pods of a user by name": {settings{"podSecurityContext.runAsUser": "operator"}, `at '/podSecurityContext/runAsUser': maxLength: got 8, want 0`},
		"pods that may run as root": {
			settings{"podSecurityContext.runAsNonRoot": false}, `at '/podSecurityContext': additional properties 'runAsNonRoot' not allowed`,
		},
		"a variable that the chart sets": {
			settings{"extraEnv": []any{map[string]any{"name": "REGISTRATION_POLICY_NAMESPACE", "value": "a"}}}, `at '/extraEnv/0/name': 'not' failed`,
		},
		"a variable without a name": {settings{"extraEnv": []any{map[string]any{"value": "a"}}}, `at '/extraEnv/0': missing property 'name'`},
		"a label that the chart sets": {
			settings{"commonLabels": map[string]any{"app.kubernetes.io/name": "a"}}, `at '/commonLabels/app.kubernetes.io~1name': false schema`,
		},
		"a label of the pods that selects them": {
			settings{"podLabels": map[string]any{"app.kubernetes.io/component": "a"}}, `at '/podLabels/app.kubernetes.io~1component': false schema`,
		},
		"no port of DNS": {settings{"networkPolicy.dns.ports": []any{}}, `at '/networkPolicy/dns/ports': minItems`},
		"a load balancer's class without one": {
			settings{"service.loadBalancerClass": "a"}, `service.loadBalancerClass and service.loadBalancerSourceRanges are only for service.type=LoadBalancer`,
		},
		"a traffic policy within the cluster": {
			settings{"service.externalTrafficPolicy": "Local"}, `service.externalTrafficPolicy is only for service.type NodePort and LoadBalancer`,
		},
		"a ServiceMonitor of a Service that is not there": {
			settings{"metrics.serviceMonitor.enabled": true, "metrics.service.enabled": false},
			`metrics.service.enabled is required with metrics.serviceMonitor.enabled=true`,
		},
		"an alert to leave out that there is not": {
			settings{"metrics.prometheusRule.enabled": true, "metrics.prometheusRule.without": []any{"RegistrationPolicyNoLeaders"}},
			`metrics.prometheusRule.without: RegistrationPolicyNoLeaders is no alert`,
		},
		"matchers with their braces": {
			settings{"metrics.prometheusRule.matchers": `{job="hook"}`}, `at '/metrics/prometheusRule/matchers'`,
		},
		"bounds without a source": {settings{"namespaceSources": map[string]any{"okta": []any{}}}, `at '/namespaceSources/okta': minItems`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := renderChart(loadChart(t), "try", "okta", needed().with(test.values))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// arguments returns the arguments of a Deployment's container.
func arguments(t *testing.T, deployment *unstructured.Unstructured) []string {
	t.Helper()
	containers, _, err := unstructured.NestedSlice(deployment.Object, "spec", "template", "spec", "containers")
	if err != nil {
		t.Fatal(err)
	}
	found, _, err := unstructured.NestedStringSlice(containers[0].(map[string]any), "args")
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// leaves returns the values of values.yaml that are no maps, by their paths.
func leaves(prefix string, values map[string]any) settings {
	found := settings{}
	for name, value := range values {
		path := strings.TrimPrefix(prefix+"."+name, ".")
		if below, ok := value.(map[string]any); ok && len(below) > 0 && !strings.HasSuffix(path, "resources") {
			found = found.with(leaves(path, below))
		} else {
			found[path] = value
		}
	}
	return found
}

func TestEveryValueIsReadByATemplateAndEverySwitchIsCombined(t *testing.T) {
	whole := loadChart(t)
	read := map[string]bool{}
	for _, template := range whole.Templates {
		if path.Ext(template.Name) != ".tpl" {
			for _, name := range valuesRead(t, partOf(whole, template.Name)) {
				read[name] = true
			}
		}
	}
	switched := map[string]bool{}
	for _, choice := range choices {
		for _, s := range choice {
			for name := range s {
				switched[name] = true
			}
		}
	}
	for name, value := range leaves("", whole.Values) {
		if !read[name] && !readAbove(read, name) {
			t.Errorf("values.yaml has %s, which no template reads", name)
		}
		if _, truth := value.(bool); truth && !switched[name] && name != "enabled" { // false is refused
			t.Errorf("%s is a switch that no combination has", name)
		}
	}
}

// readAbove reports whether a template reads a map that contains the value, as in $image := .Values.image.
func readAbove(read map[string]bool, name string) bool {
	for above := range read {
		if strings.HasPrefix(name, above+".") {
			return true
		}
	}
	return false
}

// schemaOf returns the schema of a value, or nil if there is none.
func schemaOf(node map[string]any, name string) map[string]any {
	for step := range strings.SplitSeq(name, ".") {
		properties, _ := node["properties"].(map[string]any)
		node, _ = properties[step].(map[string]any)
	}
	return node
}

func TestTheSchemaKnowsJustTheValuesThatThereAre(t *testing.T) {
	whole := loadChart(t)
	var schema map[string]any
	if err := json.Unmarshal(whole.Schema, &schema); err != nil {
		t.Fatal(err)
	}
	values := leaves("", whole.Values)
	for name := range values {
		if schemaOf(schema, name) == nil {
			t.Errorf("the schema does not know %s", name)
		}
	}
	var walk func(prefix string, node map[string]any)
	walk = func(prefix string, node map[string]any) {
		properties, _ := node["properties"].(map[string]any)
		if len(properties) > 0 && node["additionalProperties"] != false {
			t.Errorf("%s: the schema lets misspelt names pass", prefix)
		}
		for name, below := range properties {
			path := strings.TrimPrefix(prefix+"."+name, ".")
			if path == "global" || path == "imagePullSecrets" { // the first belongs to Helm, the second is a list
				continue
			}
			if _, found := values[path]; !found && len(schemaProperties(below)) == 0 {
				t.Errorf("the schema knows %s, values.yaml does not", path)
			}
			walk(path, below.(map[string]any))
		}
	}
	walk("", schema)
}

func schemaProperties(node any) map[string]any {
	object, _ := node.(map[string]any)
	properties, _ := object["properties"].(map[string]any)
	return properties
}

var tableRow = regexp.MustCompile("(?m)^\\| `([A-Za-z.]+)` \\| (.*) \\| (.*) \\|$")

// `make generate` writes the table from values.yaml, and `make verify` compares it. So this test checks the comments there:
// each value has one of its own, or one of the map that has it.
func TestTheREADMEOfTheChartExplainsEveryValue(t *testing.T) {
	text, err := os.ReadFile(filepath.FromSlash(chartDir + "/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, row := range tableRow.FindAllStringSubmatch(string(text), -1) {
		name, defaults, meaning := row[1], row[2], row[3]
		listed[name] = true
		if meaning == "" || defaults == "" || strings.HasSuffix(meaning, ".") {
			t.Errorf("values.yaml has no comment on %s that begins with two hyphens and ends without a full stop: %q", name, meaning)
		}
	}
	values := leaves("", loadChart(t).Values)
	for name := range values {
		if !listed[name] {
			t.Errorf("README.md does not list %s: run make generate", name)
		}
	}
	for name := range listed {
		if _, found := values[name]; !found {
			t.Errorf("README.md lists %s, which values.yaml has not", name)
		}
	}
}

// shown returns a value in the way in which tests print it: "" if it is empty.
func shown(value any) string {
	switch value := value.(type) {
	case string:
		if value == "" {
			return ""
		}
		return "`" + value + "`"
	case []any:
		if len(value) == 0 {
			return ""
		}
		var parts []string
		for _, part := range value {
			parts = append(parts, fmt.Sprint(part))
		}
		return "`[" + strings.Join(parts, ", ") + "]`"
	case map[string]any:
		if len(value) == 0 {
			return ""
		}
		return "see there"
	case float64:
		return "`" + strconv.Itoa(int(value)) + "`"
	}
	return fmt.Sprintf("`%v`", value)
}

// A template must not depend on the cluster, the time or random numbers, because Argo CD and Flux render without a
// cluster, and repeatedly. The one exception keeps the number of replicas when autoscaling is enabled, and renders
// nothing without a cluster.
func TestNoTemplateDependsOnMoreThanItsValues(t *testing.T) {
	impure := regexp.MustCompile(`\b(lookup|now|rand[A-Z]\w*|gen[A-Z]\w*|uuidv4|htpasswd|bcrypt|derivePassword|getHostByName|Capabilities)\b`)
	whole := loadChart(t)
	for _, template := range whole.Templates {
		text := strings.Replace(withoutComments(string(template.Data)),
			`{{- with lookup "apps/v1" "Deployment" .Release.Namespace $fullname }}`, "", 1)
		if found := impure.FindString(text); found != "" {
			t.Errorf("%s uses %s", template.Name, found)
		}
	}
}

var templateComment = regexp.MustCompile(`(?s){{-? ?/\*.*?\*/ ?-?}}`)

func withoutComments(text string) string { return templateComment.ReplaceAllString(text, "") }
