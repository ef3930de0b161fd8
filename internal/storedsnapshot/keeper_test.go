package storedsnapshot

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"k8s.io/client-go/rest"

	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/internal/snapshotfile"
	"registrationpolicy.dev/operator/rules"
)

// replica is a replica without an API server: the test provides the policies.
type replica struct {
	*Keeper

	store     *rules.Store
	responses *ResponseMonitor
	log       *lockedLog
}

// lockedLog is a log that is read while it is written.
type lockedLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write adds to the log.
func (l *lockedLog) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(text)
}

// String returns all that was logged.
func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func startReplica(t *testing.T, dir string) *replica {
	t.Helper()
	r := &replica{store: &rules.Store{}, responses: NewResponseMonitor(), log: &lockedLog{}}
	logger := logr.FromSlogHandler(slog.NewTextHandler(r.log, nil))
	var err error
	r.Keeper, err = New(Options{
		Directory: dir, Binding: snapshotfile.Binding{Version: "v1"}, Responses: r.responses,
		Metrics: NewMetrics(prometheus.NewRegistry()), Logger: logger,
		Publisher: publish.New(publish.Options{
			Namespaces: []string{"own"}, Store: r.store, Metrics: publish.NewMetrics(prometheus.NewRegistry()), Logger: logger,
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// build publishes policies, and returns the digest.
func (r *replica) build(t *testing.T, policies ...rules.Policy) string {
	t.Helper()
	build := publish.Build{Synced: "17"}
	for _, policy := range policies {
		build.Policies = append(build.Policies, r.publisher.Compile(policy))
	}
	r.publisher.Publish("own", build)
	return r.digestInForce(t)
}

// written builds, and waits for the file.
func (r *replica) written(t *testing.T, policies ...rules.Policy) string {
	t.Helper()
	digest := r.build(t, policies...)
	if !r.write() {
		t.Fatalf("not written: %s", r.log)
	}
	return digest
}

// restoreNow restores what is stored as if the API server had been silent.
func (r *replica) restoreNow(t *testing.T) {
	t.Helper()
	r.responses.mu.Lock()
	r.responses.lastByte, r.responses.pending = time.Time{}, map[string]time.Time{"": {}}
	r.responses.mu.Unlock()
	r.restore(t.Context())
}

func (r *replica) digestInForce(t *testing.T) string {
	t.Helper()
	snapshot, err := r.store.Load()
	if err != nil {
		t.Fatalf("%v; the log: %s", err, r.log)
	}
	return snapshot.Digest()
}

// answer returns the reason for which a sign-up is decided so.
func (r *replica) answer(domain, source string) string {
	snapshot, err := r.store.Load()
	if err != nil {
		return err.Error()
	}
	return string(snapshot.Decide(rules.Call{
		Shape: rules.SignUp, Source: source, Profile: []rules.Attribute{{Name: "email", Kind: rules.Text, Text: "jo@" + domain}},
	}).Reason)
}

func (r *replica) wantAnswer(t *testing.T, domain, want string) {
	t.Helper()
	if got := r.answer(domain, "reg1"); got != want {
		t.Errorf("a sign-up with an address of %s: %s, want %s", domain, got, want)
	}
}

// stored returns what the file says of itself, nil if there is none.
func (r *replica) stored(t *testing.T) *snapshotfile.Header {
	t.Helper()
	header, err := r.directory.Check()
	if err != nil {
		t.Fatal(err)
	}
	return header
}

// allowing returns a policy that allows a domain.
func allowing(domain string) rules.Policy {
	return rules.Policy{PolicyName: rules.PolicyName{Namespace: "own", Name: "acme"}, Allow: rules.AllowRules{Domains: []string{domain}}}
}

// random draws policies and lists: good ones, ones with entries that may not be used, ones that are not understood.
type random struct{ *rand.Rand }

func (r random) pick(from ...string) string { return from[r.IntN(len(from))] }

func (r random) domains() []string {
	var domains []string
	for range 1 + r.IntN(3) {
		domains = append(domains, r.pick("acme.com", "*.acme.com", "beta.example", "*", "co.uk", "xn--a", "listed.example"))
	}
	return domains
}

func (r random) lists() []rules.ListUse {
	var uses []rules.ListUse
	for range r.IntN(3) {
		use := rules.ListUse{Name: r.pick("good", "other"), Key: r.pick("", "k"), Optional: r.IntN(2) == 0}
		switch r.IntN(5) {
		case 0:
			use.Missing = r.pick("", "it has no key k")
		case 1:
			use.Missing, use.Broken = "a part is missing", true
		case 2:
			use.Missing, use.Broken, use.OverBudget = "too large", true, true
		case 3:
			use.List = rules.CompileList([]byte("0.0.0.0 acme.com\n"))
		default:
			use.List = rules.CompileList([]byte(r.pick("listed.example\n", "acme.com\nbeta.example\njo+*@a.acme.com\n", "*.acme.com")))
		}
		uses = append(uses, use)
	}
	return uses
}

func (r random) policies() []rules.Policy {
	var policies []rules.Policy
	for i := range r.IntN(5) {
		p := rules.Policy{
			PolicyName: rules.PolicyName{Namespace: "own", Name: fmt.Sprintf("p%d", i)},
			Mode:       rules.Mode(r.pick("", "Enforce", "Enforce", "Audit")),
			Allow:      rules.AllowRules{Domains: r.domains(), Addresses: []string{"jo@a.acme.com"}, Lists: r.lists()},
			Deny:       rules.DenyRules{Lists: r.lists()},
			Message:    r.pick("", "Ask us – <please>."),
		}
		switch r.IntN(6) {
		case 0:
			p.NotUnderstood = "spec.newer: unknown"
		case 1:
			p.Sources = []string{"reg1"}
		case 2:
			p.Deny.Domains = []string{"beta.example"}
		case 3:
			p.Profile = []rules.ProfileAttribute{{Name: "userType", Value: r.pick(`"Partner"`, `7`, `["a", "b"]`)}}
			p.ProfileOn = []rules.RequestType{rules.ProgressiveProfile}
		}
		policies = append(policies, p)
	}
	return policies
}

// answersOf returns the answers to calls that distinguish random policies.
func answersOf(r *replica) string {
	var all []string
	for _, domain := range []string{
		"acme.com", "a.acme.com", "beta.example", "listed.example", "other.example", "a.co.uk", "xn--a", "unknown.example",
	} {
		for _, source := range []string{"reg1", "reg2"} {
			all = append(all, r.answer(domain, source))
		}
	}
	return strings.Join(all, "\n")
}

func TestAStoredSnapshotDecidesAsItDidWhenItWasWritten(t *testing.T) {
	t.Parallel()
	const cases = 100
	for seed := range uint64(cases) {
		policies, dir := random{rand.New(rand.NewPCG(seed, 1))}.policies(), t.TempDir()
		before := startReplica(t, dir)
		digest := before.written(t, policies...)
		after := startReplica(t, dir)
		after.restoreNow(t)
		if got := after.digestInForce(t); got != digest {
			t.Fatalf("seed %d: %s, want %s", seed, got, digest)
		}
		if got, want := answersOf(after), answersOf(before); got != want {
			t.Fatalf("seed %d: answers\n%s\nwant\n%s", seed, got, want)
		}
		if after.build(t, policies...) != digest || after.pending != nil {
			t.Errorf("seed %d: the same rules are written again", seed)
		}
	}
}

// Somebody who can write the file can make one with a good sum. It takes more to change what is decided and not be refused: the
// digest of the rules.
func TestAStoredSnapshotWithOtherPoliciesDecidesAlikeOrIsRefused(t *testing.T) {
	t.Parallel()
	const cases = 100
	refusedCases := 0
	for seed := range uint64(cases) {
		r, dir := random{rand.New(rand.NewPCG(seed, 2))}, t.TempDir()
		before := startReplica(t, dir)
		before.written(t, r.policies()...)
		file, err := before.directory.Read(always)
		if err != nil {
			t.Fatal(err)
		}
		switch n := r.IntN(4); {
		case n == 0 && len(file.Policies) > 0:
			file.Policies = file.Policies[1:]
		case n == 1 && len(file.Policies) > 0:
			file.Policies[0].Deny.Lists = r.lists()
		case n == 2 && len(file.Policies) > 0:
			file.Policies[0].Allow.Domains = []string{"*"}
		default:
			file.Policies = append(file.Policies, rules.Policy{PolicyName: rules.PolicyName{Namespace: "own", Name: "z"}, NotUnderstood: "?"})
		}
		if err := before.directory.Write(file, before.directory.Epoch()); err != nil {
			t.Fatal(err)
		}
		after := startReplica(t, dir)
		after.restoreNow(t)
		if _, err := after.store.Load(); err != nil {
			refusedCases++
			if !strings.Contains(after.log.String(), "cause=other_rules") {
				t.Fatalf("seed %d: refused otherwise: %s", seed, after.log)
			}
			if after.build(t, allowing("acme.com")); after.pending == nil {
				t.Fatalf("seed %d: nothing takes its place", seed)
			}
			continue
		}
		if got, want := answersOf(after), answersOf(before); got != want {
			t.Fatalf("seed %d: answers\n%s\nwant\n%s", seed, got, want)
		}
	}
	if refusedCases < cases/4 {
		t.Errorf("only %d of %d refused: do the cases change anything?", refusedCases, cases)
	}
}

func TestAStoredSnapshotComesIntoForceWhenTheAPIServerDoesNotAnswerAndLeavesWhenItDoes(t *testing.T) {
	dir := t.TempDir()
	digest := startReplica(t, dir).written(t, allowing("acme.com"))
	synctest.Test(t, func(t *testing.T) {
		r := startReplica(t, dir)
		time.Sleep(time.Minute) // what a slow disk takes is not the API server's silentAfter
		go r.Run(t.Context())
		synctest.Wait()
		time.Sleep(silentAfter - time.Nanosecond)
		if _, err := r.store.Load(); !errors.Is(err, rules.ErrNotLoaded) {
			t.Errorf("in force at once: the API server was not asked (%v)", err)
		}
		time.Sleep(checkInterval)
		synctest.Wait()
		if got := r.digestInForce(t); got != digest {
			t.Errorf("in force: %s, want %s", got, digest)
		}
		written, inForce := r.InForce()
		if !inForce || testutil.ToFloat64(r.metrics.inUse) != 1 || testutil.ToFloat64(r.metrics.written) != float64(written.UnixMilli())/1000 {
			t.Errorf("does not say so: %v %v", written, inForce)
		}
		r.build(t, allowing("beta.example"))
		r.wantAnswer(t, "beta.example", "Allowed")
		r.wantAnswer(t, "acme.com", "NotAllowed")
		if _, inForce := r.InForce(); inForce || testutil.ToFloat64(r.metrics.inUse) != 0 || testutil.ToFloat64(r.metrics.written) != 0 {
			t.Error("still says that it answers from a stored snapshot")
		}
	})
}

func TestAnAPIServerThatAnswersWhileTheFileIsReadWins(t *testing.T) {
	dir := t.TempDir()
	digest := startReplica(t, dir).written(t, allowing("acme.com"))
	synctest.Test(t, func(t *testing.T) {
		r := startReplica(t, dir)
		r.responses.requested(policiesPath)
		time.Sleep(silentAfter)
		r.responses.received()
		r.restore(t.Context())
		if _, err := r.store.Load(); err == nil || r.log.String() != "" {
			t.Errorf("in force although the API server answers: %s", r.log)
		}
		go r.Run(t.Context())
		time.Sleep(silentAfter + checkInterval) // it falls silent again
		synctest.Wait()
		if got := r.digestInForce(t); got != digest {
			t.Errorf("in force: %s, want %s", got, digest)
		}
	})
}

func TestAStoredSnapshotDoesNotComeIntoForceAfterAnAnswerOfTheAPIServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	startReplica(t, dir).written(t, allowing("acme.com"))
	file, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if err := os.WriteFile(filepath.Join(dir, fileName), file, 0o600); err != nil {
			t.Fatal(err)
		}
		r := startReplica(t, dir)
		var both sync.WaitGroup
		both.Go(func() { r.restoreNow(t) })
		both.Go(func() { r.build(t, allowing("beta.example")) })
		both.Wait()
		r.wantAnswer(t, "beta.example", "Allowed")
		if _, inForce := r.InForce(); inForce {
			t.Fatal("says that a stored snapshot is in force")
		}
		if strings.Contains(r.log.String(), "refused") {
			t.Fatalf("refused: %s", r.log)
		}
	}
}

// A file can be damaged between the start and the moment at which it is wanted.
func TestAFileThatIsDamagedAfterTheStartIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	digest := startReplica(t, dir).written(t, allowing("acme.com"))
	r := startReplica(t, dir)
	file, err := os.ReadFile(r.directory.Path())
	if err != nil {
		t.Fatal(err)
	}
	file[len(file)/2] ^= 1
	if err := os.WriteFile(r.directory.Path(), file, 0o600); err != nil {
		t.Fatal(err)
	}
	r.restoreNow(t)
	if _, err := r.store.Load(); err == nil || testutil.ToFloat64(r.metrics.faults.WithLabelValues(faultRefused)) != 1 ||
		!strings.Contains(r.log.String(), "cause=damaged") {
		t.Errorf("not refused: %s", r.log)
	}
	if r.written(t, allowing("acme.com")) != digest || r.stored(t).Digest != digest {
		t.Error("the same rules are not written in its place")
	}
}

// At no time does the file hold rules that are older than the rules in force, however fast they change.
func TestNoFileHoldsEarlierRulesThanThoseInForce(t *testing.T) {
	t.Parallel()
	const changes = 300
	r := startReplica(t, t.TempDir())
	policy := func(i int) rules.Policy { return allowing(fmt.Sprintf("a%d.example", i)) }
	numbers := map[string]int{} // of each digest
	for i := range changes {
		snapshot, _ := rules.Compile([]rules.Policy{policy(i)})
		numbers[snapshot.Digest()] = i
	}
	stop := make(chan struct{})
	go r.Run(t.Context())
	var watcher sync.WaitGroup
	seen := map[int]bool{}
	watcher.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			snapshot, err := r.store.Load()
			if err != nil {
				continue
			}
			inForce := numbers[snapshot.Digest()]
			header, err := r.directory.Check()
			if err != nil {
				t.Errorf("half a file was seen: %v", err)
				return
			}
			if header == nil {
				continue
			}
			stored := numbers[header.Digest]
			if seen[stored] = true; stored < inForce {
				t.Errorf("rules %d are in force, and a start would bring back %d", inForce, stored)
				return
			}
		}
	})
	for i := range changes {
		r.build(t, policy(i))
		time.Sleep(time.Duration(i%4) * time.Millisecond) // some are written, some overtaken
	}
	const patience = 30 * time.Second
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		header, err := r.directory.Check()
		if err == nil && header != nil && numbers[header.Digest] == changes-1 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the last rules are not stored: %v, %v", header, err)
		}
	}
	close(stop)
	watcher.Wait()
	if len(seen) < 2 {
		t.Errorf("only the files %v were seen", seen)
	}
}

func TestADiskThatHangsHoldsUpRulesForASecondAtMost(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := startReplica(t, dir)
		r.written(t, allowing("acme.com"))
		thaw := make(chan struct{})
		r.remove = func(epoch uint64) error {
			<-thaw
			return r.directory.Remove(epoch)
		}
		for i, want := range []time.Duration{removeTimeout, 0, 0} {
			began := time.Now()
			r.build(t, allowing(fmt.Sprintf("a%d.example", i)))
			if took := time.Since(began); took != want {
				t.Errorf("rules %d waited %s, want %s", i, took, want)
			}
			r.wantAnswer(t, fmt.Sprintf("a%d.example", i), "Allowed")
		}
		if got := testutil.ToFloat64(r.metrics.faults.WithLabelValues(faultRemoveFailed)); got != 3 {
			t.Errorf("%v faults counted, want 3", got)
		}
		close(thaw)
		synctest.Wait()
		if !r.write() {
			t.Fatalf("not written: %s", r.log)
		}
		if header := r.stored(t); header == nil || header.Digest != r.digestInForce(t) {
			t.Error("the file is not the last one's")
		}
	})
}

func TestAFileThatCannotBeWrittenIsTriedAgain(t *testing.T) {
	dir := t.TempDir()
	inTheWay := filepath.Join(dir, temporaryName)
	if err := os.MkdirAll(filepath.Join(inTheWay, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		r := startReplica(t, dir)
		go r.Run(t.Context())
		digest := r.build(t, allowing("acme.com"))
		time.Sleep(2*writeRetryInterval + time.Second)
		synctest.Wait()
		if got := testutil.ToFloat64(r.metrics.faults.WithLabelValues(faultWriteFailed)); got != 3 {
			t.Errorf("%v faults counted, want 3", got)
		}
		if got := strings.Count(r.log.String(), "Snapshot not stored"); got != 1 {
			t.Errorf("%d lines of one fault", got)
		}
		if err := os.RemoveAll(inTheWay); err != nil {
			t.Fatal(err)
		}
		time.Sleep(writeRetryInterval)
		synctest.Wait()
		if header := r.stored(t); header == nil || header.Digest != digest || header.Synced["own"] != "17" {
			t.Errorf("not there once there is room: %+v", header)
		}
		if !strings.Contains(r.log.String(), "Snapshot stored again") {
			t.Error("no line says that it is stored again")
		}
	})
}

func TestTheIdentityOfAClusterIsItsAddressAndAuthority(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(file, []byte("authority"), 0o600); err != nil {
		t.Fatal(err)
	}
	identity := func(config rest.Config) string {
		t.Helper()
		got, err := ClusterIdentity(&config)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	inFile := identity(rest.Config{Host: "https://one", TLSClientConfig: rest.TLSClientConfig{CAFile: file}})
	inline := identity(rest.Config{Host: "https://one", TLSClientConfig: rest.TLSClientConfig{CAData: []byte("authority")}})
	other := identity(rest.Config{Host: "https://two", TLSClientConfig: rest.TLSClientConfig{CAData: []byte("authority")}})
	another := identity(rest.Config{Host: "https://one", TLSClientConfig: rest.TLSClientConfig{CAData: []byte("another")}})
	if inFile != inline || inFile == other || inFile == another || bytes.Contains([]byte(inFile), []byte("one")) {
		t.Errorf("%s %s %s %s", inFile, inline, other, another)
	}
	if _, err := ClusterIdentity(&rest.Config{TLSClientConfig: rest.TLSClientConfig{CAFile: file + "s"}}); err == nil {
		t.Error("an authority that cannot be read is none")
	}
}
