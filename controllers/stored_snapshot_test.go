package controllers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"registrationpolicy.dev/operator/internal/listobjects"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/internal/snapshotfile"
	"registrationpolicy.dev/operator/rules"
)

const (
	storedInForce = "registration_policy_stored_snapshot"
	storedFaults  = "registration_policy_stored_snapshot_faults_total"
)

// keeper is a replica without an API server: the test says what its builds read.
type keeper struct {
	reconciler *RulesReconciler
	stored     *StoredSnapshot
	store      *rules.Store
	registry   *prometheus.Registry
	log        *transcript
}

func startKeeper(t *testing.T, dir string) *keeper {
	t.Helper()
	schema, err := newSpecSchema()
	if err != nil {
		t.Fatal(err)
	}
	k := &keeper{store: &rules.Store{}, registry: prometheus.NewRegistry(), log: &transcript{}}
	metrics := publish.NewMetrics(k.registry)
	k.reconciler = &RulesReconciler{
		publisher: publish.New(publish.Options{Namespaces: []string{"own"}, Store: k.store, Metrics: metrics, Logger: loggerTo(k.log)}),
		converter: converter{schema}, lists: publish.NewLists(metrics, true), logger: loggerTo(k.log),
	}
	if k.stored, err = k.reconciler.KeepSnapshots(t.Context(), dir, snapshotfile.Binding{Version: "v1"}, NewMetrics(k.registry)); err != nil {
		t.Fatal(err)
	}
	return k
}

// compile returns what objects say.
func (k *keeper) compile(t *testing.T, objects []unstructured.Unstructured, maps publish.ConfigMaps) publish.Build {
	t.Helper()
	var converted []rules.Policy
	var inputs publish.Inputs
	for i := range objects {
		converted = append(converted, k.reconciler.converter.convert(t.Context(), &objects[i]))
		inputs.Policies = append(inputs.Policies, &objects[i])
	}
	resolved, err := k.reconciler.lists.Resolve(t.Context(), "own", maps, nil, converted)
	if err != nil {
		t.Fatal(err)
	}
	inputs.ConfigMaps, inputs.Inconsistent = resolved.ConfigMaps, resolved.Inconsistent
	build := publish.Build{Inputs: inputs, Synced: "17"}
	for _, policy := range resolved.Policies {
		build.Policies = append(build.Policies, k.reconciler.publisher.Compile(policy))
	}
	return build
}

// build publishes what objects say, and returns the digest.
func (k *keeper) build(t *testing.T, objects []unstructured.Unstructured, maps publish.ConfigMaps) string {
	t.Helper()
	if maps == nil {
		maps = fileMaps{}
	}
	k.reconciler.publisher.Publish("own", k.compile(t, objects, maps))
	return digestIn(t, k.store)
}

// written builds, and waits for the file.
func (k *keeper) written(t *testing.T, objects []unstructured.Unstructured, maps publish.ConfigMaps) string {
	t.Helper()
	digest := k.build(t, objects, maps)
	if !k.stored.write() {
		t.Fatalf("not written: %s", k.log)
	}
	return digest
}

func digestIn(t *testing.T, store *rules.Store) string {
	t.Helper()
	snapshot, err := store.Load()
	if err != nil {
		t.Fatal(err)
	}
	return snapshot.Digest()
}

// allowing returns a policy that allows a domain.
func allowing(t *testing.T, domain string) []unstructured.Unstructured {
	t.Helper()
	object := policyObject(t, "own", "acme", fmt.Sprintf("{allow: {domains: [%q]}}", domain))
	object.SetUID(types.UID(domain))
	return []unstructured.Unstructured{*object}
}

// random draws policies and lists: good ones, ones with entries that may not be used, ones that are not understood.
type random struct{ *rand.Rand }

func (r random) pick(from ...string) string { return from[r.IntN(len(from))] }

func (r random) entries() string {
	var entries []string
	for range 1 + r.IntN(3) {
		entries = append(entries, fmt.Sprintf("%q", r.pick("acme.com", "*.acme.com", "beta.example", "*", "co.uk", "xn--a", "listed.example")))
	}
	slices.Sort(entries)
	return strings.Join(slices.Compact(entries), ", ")
}

func (r random) spec() string {
	list := func() string {
		return fmt.Sprintf("lists: [{configMap: {name: %s}, optional: %s}]", r.pick("good", "none", "index", "bad"), r.pick("true", "false"))
	}
	switch r.IntN(8) {
	case 0:
		return r.pick("", "{}", "[]", "{allow: {domains: [{}]}}", "{newer: 1.5, allow: {domains: [acme.com]}}", "{mode: Audit, newer: {}}")
	case 1:
		return `{allow: {domains: [acme.com]}, profile: [{attribute: userType, value: ` + r.pick("Partner", "7", "1e30", "true", "[a, b]") + `}]}`
	case 2:
		return fmt.Sprintf("{appliesTo: {sources: [reg1]}, mode: %s, deny: {domains: [beta.example], %s}}", r.pick("Enforce", "Audit"), list())
	case 3:
		return fmt.Sprintf("{allow: {domains: [%s], addresses: [{local}@acme.com]}, deny: {%s}}", r.entries(), list())
	default:
		return fmt.Sprintf("{allow: {domains: [%s], %s}}", r.entries(), list())
	}
}

func (r random) objects(t *testing.T) ([]unstructured.Unstructured, fileMaps) {
	t.Helper()
	var objects []unstructured.Unstructured
	for i := range r.IntN(5) {
		object := policyObject(t, "own", fmt.Sprintf("p%d", i), r.spec())
		object.SetUID(types.UID(fmt.Sprint(r.Uint64())))
		objects = append(objects, *object)
	}
	maps := fileMaps{}
	add := func(object *corev1.ConfigMap) {
		object.UID = types.UID(fmt.Sprint(r.Uint64()))
		maps[types.NamespacedName{Namespace: object.Namespace, Name: object.Name}] = object
	}
	good := list("own", "good", map[string]string{"entries": r.pick("listed.example\n", "acme.com\nbeta.example\n", "*.acme.com")})
	if r.IntN(2) == 0 {
		good.BinaryData = map[string][]byte{"more": []byte("other.example # \xff\n")}
	}
	add(good)
	add(list("own", "bad", map[string]string{"entries": "0.0.0.0 acme.com\n"}))
	shards, err := listobjects.Write("index", "own", []byte(strings.Repeat("# comment\n", 1+r.IntN(20)/19*100_000)+"listed.example\n"))
	if err != nil {
		t.Fatal(err)
	}
	for i, object := range shards {
		if i > 0 || r.IntN(4) > 0 { // now and then, a shard is lost
			add(object)
		}
	}
	return objects, maps
}

// answers are those to calls that tell random policies apart.
func answers(store *rules.Store) string {
	var all []string
	for _, address := range []string{
		"acme.com", "a.acme.com", "beta.example", "listed.example", "other.example", "a.co.uk", "xn--a", "unknown.example",
	} {
		for _, source := range []string{"reg1", "reg2"} {
			all = append(all, answerTo(store, signUp(localPart+"@"+address, source)))
		}
	}
	return strings.Join(all, "\n")
}

func TestAStoredSnapshotDecidesAsItDidWhenItWasWritten(t *testing.T) {
	t.Parallel()
	const cases = 100
	for seed := range uint64(cases) {
		r, dir := random{rand.New(rand.NewPCG(seed, 1))}, t.TempDir()
		objects, maps := r.objects(t)
		before := startKeeper(t, dir)
		digest := before.written(t, objects, maps)
		after := startKeeper(t, dir)
		after.stored.publish()
		if got := digestIn(t, after.store); got != digest {
			t.Fatalf("seed %d: %s, want %s", seed, got, digest)
		}
		if got, want := answers(after.store), answers(before.store); got != want {
			t.Fatalf("seed %d: answers\n%s\nwant\n%s", seed, got, want)
		}
		if after.build(t, objects, maps) != digest || after.stored.waiting != nil {
			t.Errorf("seed %d: the same rules are written again", seed)
		}
	}
}

// Somebody who can write the file can make one with a good sum. It takes more to change what is decided and not be refused: the
// digest of the rules.
func TestAStoredSnapshotWithOtherObjectsDecidesAlikeOrIsRefused(t *testing.T) {
	t.Parallel()
	const cases = 100
	refused := 0
	for seed := range uint64(cases) {
		r, dir := random{rand.New(rand.NewPCG(seed, 2))}, t.TempDir()
		before := startKeeper(t, dir)
		objects, maps := r.objects(t)
		before.written(t, objects, maps)
		file, err := before.stored.directory.Read()
		if err != nil {
			t.Fatal(err)
		}
		switch n := r.IntN(4); {
		case n == 0 && len(file.Policies) > 0:
			file.Policies = file.Policies[1:]
		case n == 1 && len(file.Lists) > 0:
			file.Lists = file.Lists[1:]
		case n == 2 && len(file.Policies) > 0:
			file.Policies[0].Spec = map[string]any{"allow": map[string]any{"domains": []any{"*"}}}
		default:
			file.Policies = append(file.Policies, snapshotfile.Policy{Object: snapshotfile.Object{Namespace: "own", Name: "z"}})
		}
		if err := before.stored.directory.Write(file, before.stored.directory.Epoch()); err != nil {
			t.Fatal(err)
		}
		after := startKeeper(t, dir)
		after.stored.publish()
		if _, err := after.store.Load(); err != nil {
			refused++
			if !strings.Contains(after.log.String(), "cause=other_rules") {
				t.Fatalf("seed %d: refused otherwise: %s", seed, after.log)
			}
			continue
		}
		if got, want := answers(after.store), answers(before.store); got != want {
			t.Fatalf("seed %d: answers\n%s\nwant\n%s", seed, got, want)
		}
	}
	if refused < cases/4 {
		t.Errorf("only %d of %d refused: do the cases change anything?", refused, cases)
	}
}

func TestAStoredSnapshotComesIntoForceWhenTheAPIServerDoesNotAnswerAndLeavesWhenItDoes(t *testing.T) {
	dir := t.TempDir()
	earlier := startKeeper(t, dir)
	digest := earlier.written(t, allowing(t, "acme.com"), nil)
	synctest.Test(t, func(t *testing.T) {
		k := startKeeper(t, dir)
		go k.stored.Run(t.Context())
		time.Sleep(untilStored - time.Nanosecond)
		if _, err := k.store.Load(); !errors.Is(err, rules.ErrNotLoaded) {
			t.Errorf("in force at once: the API server was not asked (%v)", err)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if got := digestIn(t, k.store); got != digest {
			t.Errorf("in force: %s, want %s", got, digest)
		}
		written, inForce := k.stored.InForce()
		if !inForce || metric(t, k.registry, storedInForce) != 1 ||
			metric(t, k.registry, storedInForce+"_timestamp_seconds") != float64(written.UnixMilli())/1000 {
			t.Errorf("does not say so: %v %v", written, inForce)
		}
		k.build(t, allowing(t, "beta.example"), nil)
		wantAnswer(t, k.store, localPart+"@beta.example", "ALLOW Allowed")
		wantAnswer(t, k.store, localPart+"@acme.com", "DENY NotAllowed")
		if _, inForce := k.stored.InForce(); inForce || metric(t, k.registry, storedInForce) != 0 ||
			metric(t, k.registry, storedInForce+"_timestamp_seconds") != 0 {
			t.Error("still says that it answers from a stored snapshot")
		}
	})
}

func TestAStoredSnapshotDoesNotComeIntoForceAfterAnAnswerOfTheAPIServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	startKeeper(t, dir).written(t, allowing(t, "acme.com"), nil)
	file, err := os.ReadFile(filepath.Join(dir, "snapshot"))
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if err := os.WriteFile(filepath.Join(dir, "snapshot"), file, 0o600); err != nil {
			t.Fatal(err)
		}
		k := startKeeper(t, dir)
		var both sync.WaitGroup
		both.Go(func() { k.stored.publish() })
		both.Go(func() { k.build(t, allowing(t, "beta.example"), nil) })
		both.Wait()
		wantAnswer(t, k.store, localPart+"@beta.example", "ALLOW Allowed")
		if _, inForce := k.stored.InForce(); inForce {
			t.Fatal("says that a stored snapshot is in force")
		}
	}
}

// Whatever is in force, no file holds anything earlier: not for a moment, not while files are written as fast as rules change.
func TestNoFileHoldsEarlierRulesThanThoseInForce(t *testing.T) {
	t.Parallel()
	const changes = 300
	k := startKeeper(t, t.TempDir())
	k.stored.binding = snapshotfile.Binding{}
	var ordered sync.Map // the number of each digest
	number := func(digest string) int {
		n, _ := ordered.Load(digest)
		place, _ := n.(int)
		return place
	}
	for i := range changes {
		build := k.compile(t, allowing(t, fmt.Sprintf("a%d.example", i)), fileMaps{})
		snapshot := rules.Assemble(nil, []*rules.Compiled{build.Policies[0].Compiled})
		ordered.Store(snapshot.Digest(), i)
	}
	running, stop := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(running)
		k.stored.Run(t.Context())
	}()
	var watcher sync.WaitGroup
	seen := map[int]bool{}
	watcher.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			snapshot, err := k.store.Load()
			if err != nil {
				continue
			}
			inForce := number(snapshot.Digest())
			file, err := k.stored.directory.Read()
			if err != nil {
				t.Errorf("half a file was seen: %v", err)
				return
			}
			if file == nil {
				continue
			}
			stored := number(file.Digest)
			if seen[stored] = true; stored < inForce {
				t.Errorf("rules %d are in force, and a start would bring back %d", inForce, stored)
				return
			}
		}
	})
	for i := range changes {
		k.build(t, allowing(t, fmt.Sprintf("a%d.example", i)), nil)
		time.Sleep(time.Duration(i%4) * time.Millisecond) // some are written, some overtaken
	}
	eventually(t, within, func() string {
		if file, err := k.stored.directory.Read(); err != nil || file == nil || number(file.Digest) != changes-1 {
			return fmt.Sprintf("the last rules are not stored: %v", err)
		}
		return ""
	})
	close(stop)
	watcher.Wait()
	if len(seen) < 2 {
		t.Errorf("only the files %v were seen", seen)
	}
}

func TestADiskThatHangsHoldsUpRulesForASecondAtMost(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		k := startKeeper(t, dir)
		k.written(t, allowing(t, "acme.com"), nil)
		thaw := make(chan struct{})
		k.stored.remove = func(epoch uint64) error {
			<-thaw
			return k.stored.directory.Remove(epoch)
		}
		for i, want := range []time.Duration{untilRemoved, 0, 0} {
			began := time.Now()
			k.build(t, allowing(t, fmt.Sprintf("a%d.example", i)), nil)
			if took := time.Since(began); took != want {
				t.Errorf("rules %d waited %s, want %s", i, took, want)
			}
			wantAnswer(t, k.store, fmt.Sprintf("%s@a%d.example", localPart, i), "ALLOW Allowed")
		}
		if got := metric(t, k.registry, storedFaults, `fault="remove_failed"`); got != 3 {
			t.Errorf("%v faults counted, want 3", got)
		}
		close(thaw)
		synctest.Wait()
		if !k.stored.write() {
			t.Fatalf("not written: %s", k.log)
		}
		if file, err := k.stored.directory.Read(); err != nil || file.Digest != digestIn(t, k.store) {
			t.Errorf("the file is not the last one's: %v", err)
		}
	})
}

func TestAFileThatCannotBeWrittenIsTriedAgain(t *testing.T) {
	dir := t.TempDir()
	inTheWay := filepath.Join(dir, "snapshot.new")
	if err := os.MkdirAll(filepath.Join(inTheWay, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		k := startKeeper(t, dir)
		go k.stored.Run(t.Context())
		digest := k.build(t, allowing(t, "acme.com"), nil)
		time.Sleep(2*untilWritten + time.Second)
		synctest.Wait()
		if got := metric(t, k.registry, storedFaults, `fault="write_failed"`); got != 3 {
			t.Errorf("%v faults counted, want 3", got)
		}
		if got := strings.Count(k.log.String(), "Snapshot not stored"); got != 1 {
			t.Errorf("%d lines of one fault", got)
		}
		if err := os.RemoveAll(inTheWay); err != nil {
			t.Fatal(err)
		}
		time.Sleep(untilWritten)
		synctest.Wait()
		if file, err := k.stored.directory.Read(); err != nil || file == nil || file.Digest != digest || file.Synced["own"] != "17" {
			t.Errorf("not there once there is room: %+v, %v", file, err)
		}
		if !strings.Contains(k.log.String(), "Snapshot stored again") {
			t.Error("no line says that it is stored again")
		}
	})
}

func TestObjectsThatAChangeToreApartAreNotKept(t *testing.T) {
	t.Parallel()
	k := startKeeper(t, t.TempDir())
	k.written(t, allowing(t, "acme.com"), nil)
	objects := []unstructured.Unstructured{
		*policyObject(t, "own", "a", `{allow: {lists: [{configMap: {name: bad, key: one}}]}}`),
		*policyObject(t, "own", "b", `{allow: {lists: [{configMap: {name: bad, key: two}}]}}`),
	}
	objects[0].SetUID("a")
	objects[1].SetUID("b")
	k.build(t, objects, fileMaps{}) // not there
	maps := &changingMaps{}
	if build := k.compile(t, objects, maps); !build.Inputs.Inconsistent {
		t.Fatal("not inconsistent")
	} else {
		k.reconciler.publisher.Publish("own", build)
	}
	if file, err := k.stored.directory.Read(); file != nil || err != nil || k.stored.waiting != nil {
		t.Errorf("kept: %v, %v", file, err)
	}
	digest := k.build(t, objects, fileMaps{{Namespace: "own", Name: "bad"}: maps.now()})
	if !k.stored.write() {
		t.Fatal("not written")
	}
	if file, err := k.stored.directory.Read(); err != nil || file.Digest != digest {
		t.Errorf("the next build is not kept: %v", err)
	}
}

// changingMaps returns another version of a ConfigMap every time.
type changingMaps struct{ version int }

func (m *changingMaps) now() *corev1.ConfigMap {
	object := list("own", "bad", map[string]string{"one": "acme.com", "two": "beta.example"})
	object.ResourceVersion = fmt.Sprint(m.version)
	return object
}

func (m *changingMaps) Version(types.NamespacedName) publish.Version {
	m.version++
	return publish.Version{ResourceVersion: fmt.Sprint(m.version)}
}

func (m *changingMaps) Get(context.Context, types.NamespacedName) (*corev1.ConfigMap, error) {
	return m.now(), nil
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
