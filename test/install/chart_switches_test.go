package install

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	helmchart "helm.sh/helm/v4/pkg/chart/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	switchesNamespace = "switches"
	// dryRuns is the number of concurrent dry runs. More would only queue in the API server.
	dryRuns = 4
)

// choice is a switch of the chart, with all of its settings. A test combines each of them with each setting of every
// other choice.
type choice []settings

// either returns a choice between values of one setting.
func either(name string, values ...any) choice {
	var c choice
	for _, value := range values {
		c = append(c, settings{name: value})
	}
	return c
}

// choices are all switches of the chart. Values that templates only pass on, such as a log level or a port, are
// together one choice.
var choices = []choice{
	either("crds.install", true, false),
	either("observe", true, false),
	either("metrics.service.enabled", true, false),
	either("metrics.serviceMonitor.enabled", true, false),
	either("metrics.prometheusRule.enabled", true, false),
	either("metrics.prometheusRule.matchers", "", `namespace="okta", pod=~"hook-.*"`),
	either("metrics.prometheusRule.without", []any{}, []any{"RegistrationPolicyNoLeader", "RegistrationPolicyOldCredentialInUse"}),
	either("metrics.dashboard.enabled", true, false),
	either("ingress.enabled", true, false),
	either("ingress.className", "", "nginx"),
	either("ingress.tls.secretName", "", "hook-certificate"),
	either("httpRoute.enabled", true, false),
	either("certificate.enabled", true, false),
	either("certificate.dnsNames", []any{}, []any{"hook.acme.com"}),
	either("certificate.secretName", "", "hook-certificate"),
	either("networkPolicy.enabled", true, false),
	either("networkPolicy.hookFrom", []any{}, []any{map[string]any{"ipBlock": map[string]any{"cidr": "192.0.2.0/24"}}}),
	either("networkPolicy.metricsFrom", []any{}, []any{map[string]any{"namespaceSelector": map[string]any{}}}),
	either("networkPolicy.apiServer.to", []any{}, []any{map[string]any{"ipBlock": map[string]any{"cidr": "192.0.2.1/32"}}}),
	either("podDisruptionBudget.enabled", true, false),
	either("autoscaling.enabled", true, false),
	either("serviceAccount.create", true, false),
	either("rbac.create", true, false),
	either("policyRoles.create", true, false),
	either("policyRoles.aggregateToDefaultRoles", true, false),
	either("admissionWarnings.enabled", true, false),
	either("listSync.enabled", true, false),
	either("listSync.caConfigMap", "", "mirror-ca"),
	either("listSync.lists", []any{map[string]any{"name": "disposable-domains", "url": "https://lists.example.com/disposable.txt"}}, []any{
		map[string]any{
			"name": "customers.of-the-largest-of-all-our-regions-and-countries", "url": "https://crm.example.com:8443/domains?all=1", "for": "allow",
			"sha256": strings.Repeat("0", 64), "accept": "sha256:" + strings.Repeat("1", 64), "maxChange": "50%", "schedule": "*/5 * * * *",
		},
		map[string]any{"name": "disposable-domains", "url": "https://lists.example.com/disposable.txt"},
	}),
	either("snapshot.enabled", true, false),
	either("hook.tls.existingSecret", "", "hook-tls"),
	either("auth.keys", []any{}, []any{"okta-2026", "okta-2027"}),
	{{}, oauthSettings, oauthSettings.with(settings{
		"auth.existingSecret": "", "auth.oauth.caConfigMap": "issuer-ca", "auth.oauth.clientIDClaim": "azp", "auth.oauth.scopeClaim": "scope",
		"auth.oauth.clientIDs": []any{"0oa1", "#-{0oa2}"}, "networkPolicy.oauthIssuer.ports": []any{443, 8443},
	})},
	either("networkPolicy.oauthIssuer.to", []any{}, []any{map[string]any{"ipBlock": map[string]any{"cidr": "192.0.2.2/32"}}}),
	either("topologySpread.topologyKeys", []any{}, []any{"kubernetes.io/hostname"}),
	{
		{},
		{"watchNamespaces": []any{"team-a", "team-b"}, "namespaceSources": map[string]any{"team-a": []any{"rul1", "rul2"}},
			"namespaceLimits": map[string]any{"team-a": "16Mi", "team-b": "8000000"}},
		{"watchNamespaces": []any{"team-a", switchesNamespace}},
	},
	{
		{},
		{
			"listSync.timeZone": "Europe/Zurich", "logging.format": "text", "logging.level": "debug", "logging.domain": "always", "service.type": "NodePort",
			"image.pullPolicy": "Always", "topologySpread.whenUnsatisfiable": "DoNotSchedule", "image.tag": "edge",
			"podDisruptionBudget.maxUnavailable": "50%", "drainDelay": "1m30s", "maxStaleness": "2m30s", "fenceAfter": "45s", "snapshot.sizeLimit": "1Gi", "certificate.issuerRef.kind": "Issuer",
			"image.repository": "registry.example.com/tools/operator", "hook.path": "/", "hook.port": 8443, "hook.healthPath": "/healthz",
			"podSecurityContext.runAsUser": nil, "podSecurityContext.runAsGroup": nil, "podSecurityContext.fsGroup": nil,
			"networkPolicy.dns.ports": []any{53, 5353}, "service.externalTrafficPolicy": "Local",
			"networkPolicy.dns.to": []any{map[string]any{"namespaceSelector": map[string]any{}}},
		},
		{
			"logging.level": "warn", "logging.domain": "never", "service.type": "LoadBalancer", "service.port": 8080,
			"image.pullPolicy": "Never", "image.digest": "sha256:" + strings.Repeat("0", 64), "auth.header": "Authorization",
			"fullnameOverride": "hook", "nameOverride": "registrations", "maxInFlight": 1000000, "shutdownTimeout": "1m",
			"serviceAccount.annotations": map[string]any{"example.com/a": "true"}, "service.annotations": map[string]any{"a": "1"},
			"metrics.service.annotations": map[string]any{"prometheus.io/scrape": "true"}, "metrics.serviceMonitor.interval": "1m",
			"metrics.serviceMonitor.labels": map[string]any{"release": "prometheus"}, "metrics.dashboard.labels": map[string]any{"dashboards": "yes"},
			"metrics.prometheusRule.labels": map[string]any{"release": "prometheus"}, "metrics.dashboard.annotations": map[string]any{"grafana_folder": "Okta"},
			"metrics.prometheusRule.runbookURL": "https://wiki.acme.com/runbook",
			"ingress.annotations":               map[string]any{"example.com/a": "true"},
			"httpRoute.annotations":             map[string]any{"example.com/a": "true"},
			"podAnnotations":                    map[string]any{"example.com/a": "true"}, "podLabels": map[string]any{"team": "identity"},
			"listSync.podAnnotations": map[string]any{"sidecar.istio.io/inject": "false"}, "listSync.podLabels": map[string]any{"team": "identity"},
			"deploymentAnnotations":              map[string]any{"example.com/a": "true"},
			"commonLabels":                       map[string]any{"app.kubernetes.io/part-of": "identity", "cost-center": "42"},
			"service.loadBalancerClass":          "service.k8s.aws/nlb",
			"service.loadBalancerSourceRanges":   []any{"192.0.2.0/24", "2001:db8::/32"},
			"metrics.serviceMonitor.relabelings": []any{map[string]any{"targetLabel": "cluster", "replacement": "eu-1"}},
			"metrics.serviceMonitor.metricRelabelings": []any{map[string]any{
				"sourceLabels": []any{"__name__"}, "regex": "go_.*", "action": "drop",
			}},
			"metrics.serviceMonitor.scrapeTimeout": "20s",
		},
		{
			"logging.level": "error", "priorityClassName": "system-cluster-critical", "addressAttributes": []any{"email"},
			"texts.notAllowed": `It's "no": {id}`, "texts.invalid": "Non: «écrivez» # un autre", "texts.unavailable": "- {}", "texts.blank": "No \"spaces\" # {id}",
			"image.registry": "registry.example.com:5000", "global.imagePullSecrets": []any{"mirror", map[string]any{"name": "registry"}},
			"podSecurityContext.runAsUser": 1000, "podSecurityContext.runAsGroup": nil,
			"extraEnv": []any{
				map[string]any{"name": "HTTPS_PROXY", "value": "http://egress.acme.example:3128"},
				map[string]any{"name": "REGISTRATION_POLICY_MAX_IN_FLIGHT", "value": "500"},
			},
			"extraVolumes":      []any{map[string]any{"name": "more", "configMap": map[string]any{"name": "more"}}},
			"extraVolumeMounts": []any{map[string]any{"name": "more", "mountPath": "/more", "readOnly": true}},
			"listSync.extraEnv": []any{map[string]any{"name": "HTTPS_PROXY", "value": "http://egress.acme.example:3128"}},
			"networkPolicy.extraEgress": []any{map[string]any{
				"ports": []any{map[string]any{"port": 3128, "protocol": "TCP"}},
				"to":    []any{map[string]any{"ipBlock": map[string]any{"cidr": "192.0.2.3/32"}}},
			}},
			"imagePullSecrets": []any{map[string]any{"name": "registry"}}, "nodeSelector": map[string]any{"kubernetes.io/arch": "arm64"},
			"tolerations": []any{map[string]any{"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}},
			"affinity": map[string]any{"nodeAffinity": map[string]any{"requiredDuringSchedulingIgnoredDuringExecution": map[string]any{
				"nodeSelectorTerms": []any{map[string]any{"matchExpressions": []any{map[string]any{"key": "a", "operator": "Exists"}}}},
			}}},
			"resources": map[string]any{"limits": map[string]any{"cpu": "2"}},
		},
	},
}

// oauthSettings make the operator accept access tokens too.
var oauthSettings = settings{
	"auth.oauth.issuer": "https://acme.okta.com/oauth2/default", "auth.oauth.audience": "api://default",
	"auth.oauth.clientIDs": []any{"0oa1"}, "auth.oauth.scope": "registration.decide",
}

// given returns settings that some choices need, so that all of them can be made.
func given() settings {
	return needed().with(settings{
		"ingress.host":               "hook.acme.com",
		"httpRoute.parentRefs":       []any{map[string]any{"name": "public", "namespace": "gateways"}},
		"httpRoute.hostnames":        []any{"hook.acme.com"},
		"certificate.issuerRef.name": "public",
		"serviceAccount.name":        "registrations",
		"listSync.lists":             []any{map[string]any{"name": "disposable-domains", "url": "https://lists.example.com/disposable-domains.txt"}},
	})
}

// refusal returns the error that a template must give for an invalid combination of settings, or "".
func refusal(template string, s settings) string {
	dnsNames, _ := s["certificate.dnsNames"].([]any)
	switch {
	case template == "service-monitor.yaml" && s["metrics.serviceMonitor.enabled"] == true && s["metrics.service.enabled"] == false:
		return "metrics.service.enabled is required"
	case template != "certificate.yaml" || s["certificate.enabled"] != true:
		return ""
	case s["ingress.enabled"] != true && s["httpRoute.enabled"] != true && len(dnsNames) == 0:
		return "certificate.dnsNames is required"
	case s["certificate.secretName"] == "" && s["ingress.tls.secretName"] == "":
		return "certificate.secretName is required"
	}
	return ""
}

// Each template is rendered with every combination of the switches that it reads, directly or through templates that it
// includes. Templates do not depend on each other, so that this covers all combinations of all switches.
func TestEveryCombinationOfSwitchesRendersTheSameTwiceAndIsAcceptedByTheAPIServer(t *testing.T) {
	whole := loadChart(t)
	documents := map[string]string{} // from a rendered text to the settings that gave it
	combinations := 0
	for _, template := range whole.Templates {
		name := strings.TrimPrefix(template.Name, "templates/")
		if path.Ext(name) == ".tpl" {
			continue
		}
		part := partOf(whole, template.Name)
		read := valuesRead(t, part)
		for s := range combine(given(), relevant(read)) {
			combinations++
			text, err := renderValues(part, "try", switchesNamespace, s, true)
			again, errAgain := renderValues(part, "try", switchesNamespace, s, true)
			if fmt.Sprint(err) != fmt.Sprint(errAgain) || !maps.Equal(text, again) {
				t.Fatalf("%s: rendered twice, not the same, with %v", name, s)
			}
			if want := refusal(name, s); want != "" {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Fatalf("%s: with %v\ngot error %v, want %q", name, s, err, want)
				}
				continue
			}
			if err != nil {
				t.Fatalf("%s: with %v\n%v", name, s, err)
			}
			if path.Ext(name) == ".yaml" {
				documents[text[name]] = fmt.Sprintf("%s with %v", name, s)
			}
		}
	}
	t.Logf("%d combinations, %d distinct texts", combinations, len(documents))
	acceptAll(t, documents)
}

// The schema has no conditions between values, so it is enough to check each value alone.
func TestEverySwitchIsAcceptedByTheSchema(t *testing.T) {
	for _, choice := range choices {
		for _, setting := range choice {
			base := given().with(settings{"certificate.dnsNames": []any{"hook.acme.com"}, "certificate.secretName": "hook"})
			if _, err := renderChart(loadChart(t), "try", switchesNamespace, base.with(setting)); err != nil {
				t.Errorf("%v: %v", setting, err)
			}
		}
	}
}

// partOf returns the chart with only one template and the files that templates include.
func partOf(whole *helmchart.Chart, name string) *helmchart.Chart {
	part := *whole
	part.Templates = nil
	for _, template := range whole.Templates {
		if template.Name == name || path.Ext(template.Name) == ".tpl" {
			part.Templates = append(part.Templates, template)
		}
	}
	return &part
}

var (
	valuesPath = regexp.MustCompile(`\.Values(\.[A-Za-z.]+)?`)
	included   = regexp.MustCompile(`(?:include|template) "([^"]+)"`)
	defined    = regexp.MustCompile(`(?s){{-? define "([^"]+)" -?}}(.*?)\n{{-? end -?}}\n`)
)

// valuesRead returns the paths of the values that the template of a chart reads, directly or through templates that it
// includes.
func valuesRead(t *testing.T, part *helmchart.Chart) []string {
	t.Helper()
	definitions := map[string]string{}
	var text string
	for _, template := range part.Templates {
		if path.Ext(template.Name) != ".tpl" {
			text = string(template.Data)
			continue
		}
		for _, match := range defined.FindAllStringSubmatch(string(template.Data), -1) {
			definitions[match[1]] = match[2]
		}
	}
	paths := map[string]bool{}
	seen := map[string]bool{}
	for pending := []string{text}; len(pending) > 0; pending = pending[1:] {
		for _, match := range valuesPath.FindAllStringSubmatch(pending[0], -1) {
			if match[1] == "" {
				t.Fatal("a template reads all values at once: which switches it reads cannot be told")
			}
			paths[strings.Trim(match[1], ".")] = true
		}
		for _, match := range included.FindAllStringSubmatch(pending[0], -1) {
			definition, found := definitions[match[1]]
			if !found {
				t.Fatalf("no definition of %s", match[1])
			}
			if !seen[match[1]] {
				seen[match[1]] = true
				pending = append(pending, definition)
			}
		}
	}
	return slices.Sorted(maps.Keys(paths))
}

// relevant returns the choices with a setting at, above or below a path that is read.
func relevant(read []string) []choice {
	var found []choice
	for _, choice := range choices {
		if slices.ContainsFunc(choice, func(s settings) bool {
			for name := range s {
				for _, path := range read {
					if name == path || strings.HasPrefix(name, path+".") || strings.HasPrefix(path, name+".") {
						return true
					}
				}
			}
			return false
		}) {
			found = append(found, choice)
		}
	}
	return found
}

// combine yields every combination of the choices, added to base.
func combine(base settings, choices []choice) func(yield func(settings) bool) {
	return func(yield func(settings) bool) { combineInto(base, choices, yield) }
}

func combineInto(base settings, choices []choice, yield func(settings) bool) bool {
	if len(choices) == 0 {
		return yield(base)
	}
	for _, s := range choices[0] {
		if !combineInto(base.with(s), choices[1:], yield) {
			return false
		}
	}
	return true
}

// acceptAll checks by a server-side dry run that the API server accepts every document without a warning, in a namespace
// with PodSecurity "restricted".
func acceptAll(t *testing.T, documents map[string]string) {
	t.Helper()
	c := useChartCluster(t)
	for _, name := range []string{switchesNamespace, "team-a", "team-b"} {
		err := c.kube.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
			"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted",
		}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	work := make(chan string)
	var group sync.WaitGroup
	for range dryRuns {
		group.Go(func() {
			kube, warnings := warned(t, c.config)
			for text := range work {
				if err := acceptText(t, kube, text); err != nil {
					t.Errorf("%s\n%v", documents[text], err)
				}
				for _, warning := range warnings.take() {
					t.Errorf("%s\nwarning: %s", documents[text], warning)
				}
			}
		})
	}
	for _, text := range slices.Sorted(maps.Keys(documents)) {
		work <- text
	}
	close(work)
	group.Wait()
}

func acceptText(t *testing.T, kube client.Client, text string) error {
	objects, err := parseObjects(text)
	if err != nil {
		return err
	}
	for _, object := range objects {
		apply := client.ApplyConfigurationFromUnstructured(object)
		if err := kube.Apply(t.Context(), apply, client.DryRunAll, client.FieldOwner("chart"), client.ForceOwnership); err != nil {
			return fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
		}
		pod := podOf(object)
		if pod == nil {
			continue
		}
		// PodSecurity refuses Pods only.
		if err := client.NewDryRunClient(kube).Create(t.Context(), pod); err != nil {
			return fmt.Errorf("a Pod of %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

// podOf returns a pod of a Deployment's or a CronJob's template, or nil.
func podOf(object *unstructured.Unstructured) *unstructured.Unstructured {
	path := map[string][]string{"Deployment": {"spec", "template"}, "CronJob": {"spec", "jobTemplate", "spec", "template"}}[object.GetKind()]
	if path == nil {
		return nil
	}
	template, _, _ := unstructured.NestedMap(object.Object, path...)
	pod := &unstructured.Unstructured{Object: template}
	pod.SetAPIVersion("v1")
	pod.SetKind("Pod")
	pod.SetNamespace(object.GetNamespace())
	pod.SetName(object.GetName())
	return pod
}

// warnings collects the warnings in an API server's answers.
type warnings struct {
	mutex sync.Mutex
	texts []string
}

// Write takes one warning, as client-go prints it.
func (w *warnings) Write(line []byte) (int, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.texts = append(w.texts, strings.TrimSpace(string(line)))
	return len(line), nil
}

// take returns the warnings since the last time.
func (w *warnings) take() []string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	texts := w.texts
	w.texts = nil
	return texts
}

// warned returns a client, and the warnings in the answers that it gets.
func warned(t *testing.T, config *rest.Config) (client.Client, *warnings) {
	t.Helper()
	w := &warnings{}
	config = rest.CopyConfig(config)
	config.WarningHandler = rest.NewWarningWriter(w, rest.WarningWriterOptions{})
	kube, err := newClient(config)
	if err != nil {
		t.Error(err)
	}
	return client.WithFieldValidation(kube, client.FieldValidation(metav1.FieldValidationStrict)), w
}
