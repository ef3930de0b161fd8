package listsync

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestAnErrorOfTheConnectionToTheAPIServerIsASentence(t *testing.T) {
	refused := &url.Error{Op: "Get", URL: "https://api.example:6443/api/v1/namespaces/okta/configmaps/disposable", Err: &net.OpError{
		Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED),
	}}
	for want, err := range map[string]error{
		"read a list: api.example:6443 refuses connections: check --kubeconfig and --context": refused,
		"read a list: the API server did not answer in time: run this again":                  &url.Error{Err: context.DeadlineExceeded},
		"read a list: cut off": errors.New("cut off"),
	} {
		if got := apiError("read a list", err).Error(); got != want || strings.Contains(got, "dial tcp") {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
