package install

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// openShift are the settings for OpenShift that the chart's README names.
func openShift() settings {
	return settings{
		"podSecurityContext.runAsUser": nil, "podSecurityContext.runAsGroup": nil, "podSecurityContext.fsGroup": nil,
		"networkPolicy.dns.ports": []any{53, 5353},
	}
}

// podsOf returns all pods of objects: of the Deployment, the CronJobs, and helm test.
func podsOf(t *testing.T, objects []*unstructured.Unstructured) map[string]*corev1.Pod {
	t.Helper()
	pods := map[string]*corev1.Pod{}
	for _, object := range objects {
		pod := podOf(object)
		if object.GetKind() == "Pod" {
			pod = object
		}
		if pod != nil {
			pods[where(object)] = decoded[corev1.Pod](t, pod)
		}
	}
	if len(pods) != 3 {
		t.Fatalf("%d pods, want those of the operator, of helm test and of the lists", len(pods))
	}
	return pods
}

// allowedVolume reports whether OpenShift's SecurityContextConstraints restricted-v2 allow a volume.
func allowedVolume(v corev1.Volume) bool {
	return v.ConfigMap != nil || v.CSI != nil || v.DownwardAPI != nil || v.EmptyDir != nil || v.Ephemeral != nil ||
		v.PersistentVolumeClaim != nil || v.Projected != nil || v.Secret != nil
}

// restricted-v2 gives each namespace a range of user ids and a group, and refuses pods that ask for others. The test
// checks each rule of these SecurityContextConstraints.
func TestThePodsAreAdmittedByOpenShiftsRestrictedV2(t *testing.T) {
	settings := reachable().with(openShift()).with(settings{
		"listSync.enabled": true, "listSync.caConfigMap": "mirror-ca", "hook.tls.existingSecret": "hook-tls",
		"auth.oauth.caConfigMap": "issuer-ca",
	}).with(oauthSettings)
	for name, pod := range podsOf(t, mustRender(t, "try", "okta", settings)) {
		spec := &pod.Spec
		if spec.HostNetwork || spec.HostPID || spec.HostIPC || spec.HostUsers != nil {
			t.Errorf("%s shares namespaces of its node", name)
		}
		security := spec.SecurityContext
		if security.RunAsUser != nil || security.RunAsGroup != nil || security.FSGroup != nil || security.SupplementalGroups != nil ||
			security.SELinuxOptions != nil {
			t.Errorf("%s asks for ids: %+v", name, security)
		}
		if security.RunAsNonRoot == nil || !*security.RunAsNonRoot || security.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
			t.Errorf("%s may be root, or has no seccomp profile: %+v", name, security)
		}
		for _, volume := range spec.Volumes {
			if !allowedVolume(volume) {
				t.Errorf("%s: volume %s is of a kind that is not allowed", name, volume.Name)
			}
		}
		for _, container := range spec.Containers {
			own := container.SecurityContext
			if own.RunAsUser != nil || own.RunAsGroup != nil || own.Privileged != nil || own.AllowPrivilegeEscalation == nil ||
				*own.AllowPrivilegeEscalation || !slices.Equal(own.Capabilities.Drop, []corev1.Capability{"ALL"}) || own.Capabilities.Add != nil {
				t.Errorf("%s: container %s: %+v", name, container.Name, own)
			}
			for _, port := range container.Ports {
				if port.HostPort != 0 || port.ContainerPort < 1024 {
					t.Errorf("%s: port %d", name, port.ContainerPort)
				}
			}
		}
	}
}

// By default, and where OpenShift is not, the ids do not depend on the cluster. Each may be left to it alone.
func TestEachIdOfThePodsMayBeLeftToTheCluster(t *testing.T) {
	for _, test := range []struct {
		given               settings
		user, group, fsOfIt int64 // -1: absent
	}{
		{settings{}, 65532, 65532, 65532},
		{settings{"podSecurityContext.runAsUser": nil}, -1, 65532, 65532},
		{settings{"podSecurityContext.fsGroup": nil}, 65532, 65532, -1},
		{settings{"podSecurityContext.runAsUser": 1000650000, "podSecurityContext.runAsGroup": nil}, 1000650000, -1, 65532},
		{settings{"podSecurityContext.runAsUser": "", "podSecurityContext.runAsGroup": "", "podSecurityContext.fsGroup": nil}, -1, -1, -1},
		{openShift(), -1, -1, -1},
	} {
		for name, pod := range podsOf(t, mustRender(t, "try", "okta", given().with(test.given).with(settings{"listSync.enabled": true}))) {
			got := pod.Spec.SecurityContext
			for _, id := range []struct {
				name string
				got  *int64
				want int64
			}{{"runAsUser", got.RunAsUser, test.user}, {"runAsGroup", got.RunAsGroup, test.group}, {"fsGroup", got.FSGroup, test.fsOfIt}} {
				if absent := id.got == nil; absent != (id.want == -1) || !absent && *id.got != id.want {
					t.Errorf("%s with %v: %s is %v, want %d", name, test.given, id.name, id.got, id.want)
				}
			}
			if !*got.RunAsNonRoot {
				t.Errorf("%s with %v may be root", name, test.given)
			}
		}
	}
}

func TestBothNetworkPoliciesLetDNSAndFurtherEgressPass(t *testing.T) {
	objects := mustRender(t, "try", "okta", given().with(openShift()).with(settings{
		"fullnameOverride": "hook", "listSync.enabled": true,
		"networkPolicy.extraEgress": []any{map[string]any{"ports": []any{map[string]any{"port": 3128, "protocol": "TCP"}}}},
	}))
	for name, want := range map[string][]string{
		"hook":           {"53", "53", "5353", "5353", "3128", "443", "6443"},
		"hook-list-sync": {"53", "53", "5353", "5353", "3128", "443", "443", "6443"},
	} {
		var got []string
		for _, port := range below([]any{find(t, objects, "NetworkPolicy", name).Object}, "spec", "egress", "ports", "port") {
			got = append(got, shown(port))
		}
		for i := range want {
			want[i] = "`" + want[i] + "`"
		}
		if !slices.Equal(got, want) {
			t.Errorf("NetworkPolicy %s lets out to %v, want %v", name, got, want)
		}
	}
}
