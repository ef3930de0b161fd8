package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/fixture"
)

const storedInUse = "registration_policy_stored_snapshot"

// stored returns the details of /readyz about the stored snapshot, or nil if none is in force.
func (op *operator) stored(t *testing.T) *struct {
	Since      time.Time
	AgeSeconds float64
} {
	t.Helper()
	_, body, err := op.get(op.metricsURL + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	var details struct {
		Stored *struct {
			Since      time.Time
			AgeSeconds float64
		}
	}
	if err := json.Unmarshal([]byte(body), &details); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return details.Stored
}

// awaitFile waits until a snapshot is stored that is newer than after, and returns its content.
func awaitFile(t *testing.T, dir string, after time.Time) []byte {
	t.Helper()
	file := filepath.Join(dir, "snapshot")
	fixture.Await(t, "the stored snapshot", func() bool {
		found, err := os.Stat(file)
		return err == nil && found.ModTime().After(after)
	})
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// kill ends an operator by SIGKILL, as the OOM killer does.
func (op *operator) kill(t *testing.T) {
	t.Helper()
	if err := op.process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-op.exited
}

// wantNoRules fails the test if a replica without the API server accepts a connection. It waits longer than a stored
// snapshot takes to come into force.
func (op *operator) wantNoRules(t *testing.T) {
	t.Helper()
	const long = 5 * time.Second
	for end := time.Now().Add(long); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		op.wantRefused(t)
	}
}

func TestARestartWithoutTheAPIServerAnswersByTheStoredSnapshotAndLeavesIt(t *testing.T) {
	t.Parallel()
	c, dir := startCluster(t), t.TempDir()
	flags := append(c.inCluster(t), "--snapshot-dir", dir)
	c.keepList(t, "bad", "listed.example\n")
	op := startReady(t, flags...)
	c.apply(t, "acme", `{allow: {domains: [acme.com, "*"]}, deny: {lists: [{configMap: {name: bad}}]}}`)
	op.awaitReasonFrom(t, "reg1", "jo@listed.example", rules.ReasonDenied)
	digest := op.digest(t)
	awaitFile(t, dir, time.Now().Add(-time.Second))
	fixture.Await(t, "the file of the newest rules", func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "snapshot"))
		return err == nil && bytes.Contains(text, []byte(digest))
	})
	if found, err := os.Stat(filepath.Join(dir, "snapshot")); err != nil || found.Mode() != 0o600 {
		t.Errorf("mode %v, %v; want 0600: it holds addresses", found.Mode(), err)
	}
	op.kill(t)
	c.line.Cut()
	c.apply(t, "acme", `{allow: {domains: [acme.example]}}`) // no replica can see this change yet

	began := time.Now()
	op = start(t, flags...)
	okta := op.okta(t, nil)
	for {
		result, err := okta.Register(t.Context(), oktasim.Registration{Email: "jo@acme.com"})
		if err == nil && result.Status == http.StatusOK {
			break
		}
		if time.Since(began) > patience {
			t.Fatalf("not answered: %v, status %d, %v", result.Outcome, result.Status, err)
		}
		time.Sleep(2 * time.Millisecond)
	}
	t.Logf("from the start of the program to the first answer: %s", time.Since(began).Round(time.Millisecond))
	if got := op.register(t, "jo@acme.com"); got != allowed {
		t.Errorf("by the stored rules: %+v", got)
	}
	if got := op.reasonFrom(t, "reg1", "jo@listed.example"); got != rules.ReasonDenied {
		t.Errorf("by the stored list: %s", got)
	}
	if got := op.digest(t); got != digest {
		t.Errorf("digest %s, want %s", got, digest)
	}
	// The replica becomes ready when its first attempt to write a report has failed, so that it knows that the API
	// server is unreachable.
	fixture.Await(t, "readiness by the stored rules", func() bool { return op.status(t, op.probeURL+"/readyz") == http.StatusOK })
	t.Logf("from the start of the program to readiness: %s", time.Since(began).Round(time.Millisecond))
	if stored := op.stored(t); stored == nil || stored.AgeSeconds <= 0 || stored.Since.After(began) {
		t.Errorf("readyz says %+v of the stored snapshot", stored)
	}
	if got := op.metric(t, storedInUse); got != "1" {
		t.Errorf("%s: %q", storedInUse, got)
	}
	var line struct{ Digest, Age string }
	if !op.find("Stored snapshot is in force: the API server has not answered", &line) || line.Digest != digest || line.Age == "" {
		t.Errorf("the log says %+v", line)
	}

	c.line.Restore()
	began = time.Now()
	op.awaitAnswer(t, "jo@acme.com", notAllowed)
	t.Logf("from the return of the API server to rules of its own: %s", time.Since(began).Round(time.Millisecond))
	if got := op.register(t, "jo@acme.example"); got != allowed {
		t.Errorf("after the API server has answered: %+v", got)
	}
	if stored := op.stored(t); stored != nil || op.metric(t, storedInUse) != "0" {
		t.Errorf("still says that it answers from a stored snapshot: %+v, %q", stored, op.metric(t, storedInUse))
	}
	if !op.find("Stored snapshot is no longer in force: the API server has answered", &struct{}{}) {
		t.Error("no line says that it left the stored snapshot")
	}
}

func TestAFullDiskBringsNoOlderRulesBack(t *testing.T) {
	t.Parallel()
	c, dir := startCluster(t), smallDisk(t)
	flags := append(c.inCluster(t), "--snapshot-dir", dir)
	c.apply(t, "acme", `{allow: {domains: [acme.com]}}`)
	op := startReady(t, flags...)
	op.awaitAnswer(t, "jo@acme.com", allowed)
	awaitFile(t, dir, time.Time{})
	fill(t, dir)

	// The new snapshot is too large for the space that is left on the disk.
	var filler strings.Builder
	for i := range 300 {
		fmt.Fprintf(&filler, ", filler%d.long-enough.example", i)
	}
	c.apply(t, "acme", `{allow: {domains: [acme.example`+filler.String()+`]}}`)
	op.awaitAnswer(t, "jo@acme.example", allowed) // new rules come into force although they cannot be stored
	const failed = `registration_policy_stored_snapshot_faults_total{fault="write_failed"}`
	fixture.Await(t, failed, func() bool { return op.metric(t, failed) != "0" })
	if _, err := os.Stat(filepath.Join(dir, "snapshot")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the earlier snapshot: %v, want none", err)
	}
	var line struct{ Error string }
	if !op.find("Snapshot not stored: a start without the API server would wait for it", &line) || line.Error == "" {
		t.Error("no line says that the snapshot was not stored")
	}
	t.Logf("what the system said: %s", line.Error)
	op.kill(t)
	c.line.Cut()
	start(t, flags...).wantNoRules(t)
}

// smallDisk returns a directory on a small file system of its own. If the test may not mount one, it returns an
// ordinary directory, see fill.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Logf("no file system of its own: %v", err)
		return dir
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill fills a small disk. In an ordinary directory it creates, at the path of the next file, something that cannot be
// replaced, so that the next write fails too.
func fill(t *testing.T, dir string) {
	t.Helper()
	if onOther, err := otherFileSystem(dir); err != nil {
		t.Fatal(err)
	} else if !onOther {
		if err := os.MkdirAll(filepath.Join(dir, "snapshot.new", "in the way"), 0o700); err != nil {
			t.Fatal(err)
		}
		return
	}
	file, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = file.Write(make([]byte, 512))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("fill the disk: %v", err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

func otherFileSystem(dir string) (bool, error) {
	var here, above syscall.Stat_t
	err := errors.Join(syscall.Stat(dir, &here), syscall.Stat(filepath.Dir(dir), &above))
	return here.Dev != above.Dev, err
}

func TestARefusedStoredSnapshotIsNotUsedAndGivesWayToTheNext(t *testing.T) {
	t.Parallel()
	c, dir := startCluster(t), t.TempDir()
	flags := append(c.inCluster(t), "--snapshot-dir", dir)
	c.apply(t, "acme", `{allow: {domains: [acme.com]}}`)
	op := startReady(t, flags...)
	op.awaitAnswer(t, "jo@acme.com", allowed)
	good := awaitFile(t, dir, time.Time{})
	op.kill(t)
	c.line.Cut()

	damaged := append([]byte{}, good...)
	damaged[len(damaged)/2] ^= 1
	file := filepath.Join(dir, "snapshot")
	for sentence, test := range map[string]struct {
		text  []byte
		more  []string
		cause string
	}{
		"a damaged file":                    {damaged, nil, "damaged"},
		"half a file":                       {good[:len(good)/2], nil, "truncated"},
		"a file of a replica with no bound": {good, []string{"--namespace-sources", namespace + "=rul1"}, "other_flags"},
		"a file of a replica that observed": {good, []string{"--observe"}, "other_flags"},
	} {
		write(t, file, string(test.text))
		refusing := start(t, append(flags, test.more...)...)
		refusing.wantNoRules(t)
		var line struct{ Cause string }
		if !refusing.find("Stored snapshot refused", &line) || line.Cause != test.cause {
			t.Errorf("%s: refused as %q, want %q", sentence, line.Cause, test.cause)
		}
		if got := refusing.metric(t, `registration_policy_stored_snapshot_faults_total{fault="refused"}`); got != "1" {
			t.Errorf("%s: counted %q times", sentence, got)
		}
		refusing.kill(t)
	}
	write(t, file, string(damaged))
	c.line.Restore()
	op = startReady(t, flags...)
	op.awaitAnswer(t, "jo@acme.com", allowed)
	fixture.Await(t, "a good file in its place", func() bool {
		text, err := os.ReadFile(file)
		return err == nil && string(text) != string(damaged)
	})
	op.kill(t)
	c.line.Cut()
	op = start(t, flags...)
	fixture.Await(t, "a stored snapshot in force", func() bool { return op.stored(t) != nil })
}
