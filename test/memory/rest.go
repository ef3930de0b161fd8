package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"registrationpolicy.dev/operator/rules"
)

// idleTime is how long replicas are idle before their memory is read: enough for the garbage collector to return free
// memory.
const idleTime = 30 * time.Second

// restingCase is a set of objects in the operator's own namespace, with which the memory of replicas is measured while
// nothing changes. See load for the fields.
type restingCase struct {
	name, sentence string
	put            func(ctx context.Context, n *namespace, version int) error
	address        func(version int) string
	reason         rules.Reason
}

func restingCases() []restingCase {
	few := func(count int) func(context.Context, *namespace, int) error {
		return putPolicies(count, func(i, version int) map[string]any {
			return map[string]any{"allow": map[string]any{"domains": names(10, "a%02d.company-%04d.example", i*10+version)}}
		})
	}
	return []restingCase{
		{"rest-1", "1 policy", few(0), allowedMarker, rules.ReasonAllowed},
		{"rest-policies-1000", "1,000 policies of 10 domains", few(1000), allowedMarker, rules.ReasonAllowed},
		{"rest-list-100000", "a list of 100,000 domains", putListed(100_000, domainLine), listedMarker, rules.ReasonDenied},
		{"rest-list-1000000", "a list of 1,000,000 domains", putListed(1_000_000, domainLine), listedMarker, rules.ReasonDenied},
	}
}

// measureAtRest prints for each restingCase the memory of a leader and of another replica while nothing changes, and
// the leader's peak during one change.
func measureAtRest(ctx context.Context, o options, plane *plane, dir string) error {
	fmt.Printf("| in %d MiB, at rest | leader | another replica | live heap | peak of the leader, with one change |\n|---|---|---|---|---|\n", o.limit>>20)
	for _, c := range restingCases() {
		if !o.selected(c.name) {
			continue
		}
		row, err := c.measure(ctx, o, plane, filepath.Join(dir, c.name))
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		fmt.Println(row)
	}
	return nil
}

func (c *restingCase) measure(ctx context.Context, o options, plane *plane, dir string) (row string, err error) {
	n, err := plane.namespace(ctx, c.name)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, n.clear(context.WithoutCancel(ctx))) }()
	if err := c.put(ctx, n, 0); err != nil {
		return "", err
	}
	var replicas [2]*operator // the first one leads
	for i := range replicas {
		group, err := newCgroup(fmt.Sprintf("registration-policy-%s-%d", c.name, i), o.limit)
		if err != nil {
			return "", err
		}
		defer func() { _ = group.remove() }()
		if replicas[i], err = c.start(ctx, o, plane, n, group, filepath.Join(dir, strconv.Itoa(i))); err != nil {
			return "", err
		}
		defer replicas[i].kill() // before its cgroup is removed
	}
	if err := c.settle(ctx, replicas[:], 0); err != nil {
		return "", err
	}
	time.Sleep(idleTime)
	leader, another, live := replicas[0].memory("VmRSS"), replicas[1].memory("VmRSS"), replicas[0].liveHeap(ctx)
	if err := c.put(ctx, n, 1); err != nil {
		return "", err
	}
	if err := c.settle(ctx, replicas[:], 1); err != nil {
		return "", err
	}
	time.Sleep(time.Second) // the leader stores the snapshot a moment after the rules are in force
	return fmt.Sprintf("| %s | %d MiB | %d MiB | %d MiB | %d MiB |",
		c.sentence, leader>>20, another>>20, live>>20, replicas[0].memory("VmHWM")>>20), nil
}

// start starts a replica with the flags of the chart, and waits until it is ready.
func (c *restingCase) start(ctx context.Context, o options, plane *plane, n *namespace, group *cgroup, dir string) (*operator, error) {
	for _, part := range []string{"auth", "snapshot"} {
		if err := os.MkdirAll(filepath.Join(dir, part), 0o700); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "auth", "okta"), []byte(credential+"\n"), 0o600); err != nil {
		return nil, err
	}
	op, err := startOperator(ctx, group.wrap(o.binary, append([]string{
		"--kubeconfig", plane.kubeconfig, "--namespace", n.name, "--replica-name", filepath.Base(dir),
		"--snapshot-dir", filepath.Join(dir, "snapshot"), "--hook-auth-dir", filepath.Join(dir, "auth"), "--drain-delay", "0s",
		"--hook-bind-address", "127.0.0.1:0", "--probe-bind-address", "127.0.0.1:0", "--metrics-bind-address", "127.0.0.1:0",
	}, o.flags...)...), "")
	if err != nil {
		return nil, err
	}
	if err := op.awaitReady(ctx); err != nil {
		op.kill()
		return nil, err
	}
	return op, nil
}

// settle waits until a version is in force on every replica.
func (c *restingCase) settle(ctx context.Context, replicas []*operator, version int) error {
	for _, op := range replicas {
		err := op.await(ctx, fmt.Sprintf("version %d: %s", version, c.reason), func() (bool, error) {
			reason, _ := op.decide(ctx, source, c.address(version))
			return reason == c.reason, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// liveHeap returns the heap in use after the last garbage collection, in bytes, from the replica's metrics. It returns
// 0 if they are not available.
func (op *operator) liveHeap(ctx context.Context) int64 {
	var line struct{ Msg, Metrics string }
	for _, text := range op.log.lines() {
		if json.Unmarshal([]byte(text), &line) == nil && line.Msg == "Starting" {
			break
		}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+line.Metrics+"/metrics", nil)
	if err != nil {
		return 0
	}
	response, err := (&http.Client{Timeout: waitTimeout}).Do(request)
	if err != nil {
		return 0
	}
	defer func() { _ = response.Body.Close() }()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if value, found := strings.CutPrefix(lines.Text(), "registration_policy_memory_live_bytes "); found {
			bytes, _ := strconv.ParseFloat(value, 64)
			return int64(bytes)
		}
	}
	return 0
}
