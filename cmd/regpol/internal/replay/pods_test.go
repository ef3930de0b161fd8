//go:build unix

package replay

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"registrationpolicy.dev/operator/cmd/regpol/internal/cluster"
	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
)

// podServer answers as an API server with pods. The log of a pod is its text, or the error with that status. A control
// plane without a kubelet has no logs.
func podServer(t *testing.T, logs map[string]string, status map[string]int) (kubeconfig string) {
	t.Helper()
	answer := func(w http.ResponseWriter, object any) {
		w.Header().Set("Content-Type", "application/json")
		if status, isStatus := object.(metav1.Status); isStatus {
			w.WriteHeader(int(status.Code))
		}
		_ = json.NewEncoder(w).Encode(object)
	}
	refuse := func(w http.ResponseWriter, code int) {
		reason := map[int]metav1.StatusReason{http.StatusForbidden: metav1.StatusReasonForbidden, http.StatusBadRequest: metav1.StatusReasonBadRequest}
		answer(w, metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: int32(code), Reason: reason[code],
			Message: "ContainerCreating",
		})
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const pods = "/api/v1/namespaces/registration-policy/pods"
		path, isLog := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, pods+"/"), "/log")
		switch {
		case r.URL.Path == pods && status[""] != 0:
			refuse(w, status[""])
		case r.URL.Path == pods:
			list := corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}}
			for _, name := range []string{"a", "b", "c"} {
				if _, found := logs[name]; found && r.URL.Query().Get("labelSelector") == defaultSelector {
					list.Items = append(list.Items, corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}})
				}
			}
			answer(w, list)
		case !isLog || r.URL.Query().Get("container") != cluster.OperatorContainer:
			http.NotFound(w, r)
		case status[path] != 0:
			refuse(w, status[path])
		default:
			_, _ = w.Write([]byte(logs[path]))
		}
	}))
	t.Cleanup(server.Close)
	return verbtest.WriteKubeconfig(t, fmt.Appendf(nil, `{"apiVersion": "v1", "kind": "Config", "current-context": "c",
		"clusters": [{"name": "c", "cluster": {"server": %q}}], "contexts": [{"name": "c", "context": {"cluster": "c"}}]}`, server.URL))
}

func TestReplayReadsTheLogsOfPods(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	const line = `{"msg":"Decided","source":"","requestType":"SelfServiceRegistration","outcome":"DENY","reason":"NotAllowed","domain":"acme.com"}` + "\n"
	for sentence, test := range map[string]struct {
		logs   map[string]string
		status map[string]int
		args   []string
		code   int
		want   string
	}{
		"all of them": {
			logs: map[string]string{"a": line, "b": line + line, "c": ""}, want: "Of 3 calls, 3 would newly be allowed.",
		},
		"one that has not started": {
			logs: map[string]string{"a": line, "b": ""}, status: map[string]int{"b": http.StatusBadRequest}, want: "warning: read the log of pod b: ",
		},
		"one that has written nothing": {logs: map[string]string{"a": line, "b": ""}, want: "warning: pod b is empty"},
		"with a file too":              {logs: map[string]string{"a": line}, args: []string{replayLog}, want: "Of 32 calls"},
		"no pod":                       {code: console.ExitUsage, want: "no pod in namespace registration-policy has the labels app.kubernetes.io/name="},
		"other labels": {
			logs: map[string]string{"a": line}, args: []string{"-l", "app=other"}, code: console.ExitUsage, want: "has the labels app=other",
		},
		"labels that are not valid": {args: []string{"-l", "a in"}, code: console.ExitUsage, want: "--selector: "},
		"no right to list pods":     {status: map[string]int{"": http.StatusForbidden}, code: console.ExitUsage, want: "you may not list pods"},
		"no right to read logs": {
			logs: map[string]string{"a": line}, status: map[string]int{"a": http.StatusForbidden}, code: console.ExitUsage, want: "ask for the right to get pods/log",
		},
		"no call in them": {logs: map[string]string{"a": "{\"msg\":\"x\"}\n"}, code: console.ExitUsage, want: "no call in pod a: "},
	} {
		t.Run(sentence, func(t *testing.T) {
			kubeconfig := podServer(t, test.logs, test.status)
			args := append([]string{"replay", "--pods", "-n", "registration-policy", "--kubeconfig", kubeconfig, "--policies", quickstart}, test.args...)
			if got := runRegpol(t, "", args...); got.Code != test.code || !strings.Contains(got.Out+got.Err, test.want) {
				t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
			}
		})
	}
}
