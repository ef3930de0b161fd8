package hookserver

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/hookserver/credentials"
)

// TestRotationAsKubeletDoesIt replaces a mounted Secret under a running server: the files are links through ..data,
// which is renamed onto a directory with the new content.
func TestRotationAsKubeletDoesIt(t *testing.T) {
	const before, after = "the-credential-before", "the-credential-after"
	dir := t.TempDir()
	mount := func(version string, files map[string]string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		for name, content := range files {
			writeFile(t, filepath.Join(dir, version), name, content)
		}
		if err := os.Symlink(version, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
		for name := range files {
			if err := os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)); err != nil && !os.IsExist(err) {
				t.Fatal(err)
			}
		}
	}
	mount("..2026_1", map[string]string{"a": before})

	server := run(t, func(o *Options) {
		var err error
		if o.Credentials, err = credentials.Load(dir, o.Logger); err != nil {
			t.Fatal(err)
		}
	})
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- server.server.options.Credentials.Run(ctx) }()
	status := func(value string) int {
		return server.post(signUp("jo@example.com", "jo"), func(r *http.Request) { r.Header.Set("Authorization", value) }).status
	}
	if got := status(before); got != 200 {
		t.Fatalf("status %d at the beginning", got)
	}

	mount("..2026_2", map[string]string{"a": before, "b": after})
	eventually(t, "both are accepted", func() bool { return status(after) == 200 })
	if got := status(before); got != 200 {
		t.Errorf("status %d for the old one during the rotation", got)
	}
	server.hasMetric(`authentications_total{credential="a",result="accepted"} 2`)

	mount("..2026_3", map[string]string{"b": after}) // kubelet removes the link a a moment later
	eventually(t, "the old one is revoked", func() bool { return status(before) == 401 })
	if got := status(after); got != 200 {
		t.Errorf("status %d for the new one", got)
	}
	if text := server.metrics(); strings.Contains(text, `credential="a"`) {
		t.Error("the old one's series is still there")
	}
	server.hasMetric("credentials 1")

	stop()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
