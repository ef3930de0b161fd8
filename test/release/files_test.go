package release

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestEveryFileHasItsChecksum(t *testing.T) {
	directory := dist(t)
	command := exec.Command("sha256sum", "--check", "--strict", "--quiet", "checksums.txt")
	command.Dir = directory
	if text, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, text)
	}
	sums := string(readFile(t, directory, "checksums.txt"))
	entries, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
		if entry.IsDir() || entry.Name() == "checksums.txt" {
			continue
		}
		if strings.Count(sums, "  "+entry.Name()+"\n") != 1 {
			t.Errorf("%s has not one checksum", entry.Name())
		}
	}
	want := []string{
		"chart", "chart.digest", "checksums.txt", "crd.yaml", "image", "image.digest", "image_linux_amd64.tar", "image_linux_arm64.tar",
		"install.yaml", "provenance.intoto.json", chart + "-" + plain + ".tgz", "regpol.yaml",
	}
	regpol := "regpol_" + plain
	for _, program := range []string{"operator_" + plain + "_linux", regpol + "_linux", regpol + "_darwin", regpol + "_windows"} {
		for _, architecture := range []string{"amd64", "arm64"} {
			want = append(want, program+"_"+architecture+".cdx.json")
			if strings.HasPrefix(program, "regpol") {
				want = append(want, program+"_"+architecture+map[bool]string{true: ".zip", false: ".tar.gz"}[strings.HasSuffix(program, "windows")])
			}
		}
	}
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("the release has\n%q\nwant\n%q", names, want)
	}
}

// unpackTar returns the regular files of a compressed tar archive, and fails unless each is owned by root.
func unpackTar(t *testing.T, compressed io.Reader) map[string][]byte {
	t.Helper()
	text, err := gzip.NewReader(compressed)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for archive := tar.NewReader(text); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Uid != 0 || header.Gid != 0 {
			t.Errorf("%s is owned by %d:%d", header.Name, header.Uid, header.Gid)
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if files[header.Name], err = io.ReadAll(archive); err != nil {
			t.Fatal(err)
		}
	}
}

func unpackZip(t *testing.T, text []byte) map[string][]byte {
	t.Helper()
	archive, err := zip.NewReader(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, f := range archive.File {
		content, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if files[f.Name], err = io.ReadAll(content); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// machine returns the architecture of a program, by Go's name.
func machine(t *testing.T, system string, program []byte) string {
	t.Helper()
	switch reader := bytes.NewReader(program); system {
	case "linux":
		file, err := elf.NewFile(reader)
		if err != nil {
			t.Fatal(err)
		}
		for _, segment := range file.Progs {
			if segment.Type == elf.PT_INTERP {
				t.Error("the program is not linked statically")
			}
		}
		return map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64"}[file.Machine]
	case "darwin":
		file, err := macho.NewFile(reader)
		if err != nil {
			t.Fatal(err)
		}
		return map[macho.Cpu]string{macho.CpuAmd64: "amd64", macho.CpuArm64: "arm64"}[file.Cpu]
	default:
		file, err := pe.NewFile(reader)
		if err != nil {
			t.Fatal(err)
		}
		return map[uint16]string{pe.IMAGE_FILE_MACHINE_AMD64: "amd64", pe.IMAGE_FILE_MACHINE_ARM64: "arm64"}[file.Machine]
	}
}

func TestTheArchivesHaveRegpolWithCompletionsAndManualPages(t *testing.T) {
	directory := dist(t)
	for _, system := range []string{"linux", "darwin", "windows"} {
		for _, architecture := range []string{"amd64", "arm64"} {
			t.Run(system+"/"+architecture, func(t *testing.T) {
				name := fmt.Sprintf("regpol_%s_%s_%s", plain, system, architecture)
				var files map[string][]byte
				program := "regpol"
				if system == "windows" {
					files, program = unpackZip(t, readFile(t, directory, name+".zip")), "regpol.exe"
				} else {
					files = unpackTar(t, bytes.NewReader(readFile(t, directory, name+".tar.gz")))
				}
				for _, want := range []string{
					program, "LICENSE", "NOTICES", "completions/regpol.bash", "completions/_regpol", "completions/regpol.fish", "completions/regpol.ps1",
					"man/man1/regpol.1", "man/man1/regpol-explain.1", "man/man1/regpol-lists-sync.1",
				} {
					if len(files[want]) == 0 {
						t.Errorf("the archive lacks %s", want)
					}
				}
				if got := machine(t, system, files[program]); got != architecture {
					t.Errorf("the program is for %s", got)
				}
				if !bytes.Contains(files["NOTICES"], []byte("github.com/spf13/cobra ")) {
					t.Error("NOTICES does not name a module that is linked")
				}
			})
		}
	}
}

func TestRegpolOfTheArchiveRuns(t *testing.T) {
	if runtime.GOOS == "windows" { // releases are built on Linux and macOS, where tar unpacks the archive
		t.Skip("needs tar")
	}
	directory := t.TempDir()
	archive := filepath.Join(dist(t), fmt.Sprintf("regpol_%s_%s_%s.tar.gz", plain, runtime.GOOS, runtime.GOARCH))
	mustOutput(t, "tar", "--extract", "--gzip", "--file", archive, "--directory", directory)
	regpol := filepath.Join(directory, "regpol")

	commit := strings.TrimSpace(mustOutput(t, "git", "-C", repository, "rev-parse", "HEAD"))
	if got, want := mustOutput(t, regpol, "--version"), "regpol "+version+" (commit "+commit[:12]+", "; !strings.HasPrefix(got, want) {
		t.Errorf("--version prints %q, want %q", got, want)
	}
	samples := filepath.Join(repository, "config", "samples", "quickstart")
	if got := mustOutput(t, regpol, "explain", "jo@acme.com", "--policies", samples); !strings.HasPrefix(got, "allowed") {
		t.Errorf("explain prints %q", got)
	}
	mustOutput(t, "bash", "-n", filepath.Join(directory, "completions", "regpol.bash"))
	pages, err := filepath.Glob(filepath.Join(directory, "man", "man1", "*.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		checkManualPage(t, page)
	}
	// Each flag of the help is in the manual page.
	help := mustOutput(t, regpol, "lists", "sync", "--help")
	text := strings.ReplaceAll(string(readFile(t, directory, "man", "man1", "regpol-lists-sync.1")), `\-`, "-")
	_, flags, _ := strings.Cut(help, "\nFlags:\n")
	for line := range strings.Lines(flags) {
		_, after, found := strings.Cut(line, "--")
		if name, _, _ := strings.Cut(after, " "); found && !strings.Contains(text, "--"+name) {
			t.Errorf("the manual page lacks --%s", name)
		}
	}
}

// checkManualPage formats a manual page where there is groff, which warns of requests that it does not know.
func checkManualPage(t *testing.T, page string) {
	t.Helper()
	if _, err := exec.LookPath("groff"); err != nil {
		t.Log("no groff here: the manual pages are not formatted")
		return
	}
	command := exec.Command("groff", "-man", "-Tutf8", "-ww", "-P-cbou", page)
	var warnings bytes.Buffer
	command.Stderr = &warnings
	text, err := command.Output()
	if err != nil || warnings.Len() > 0 || !bytes.Contains(text, []byte("DESCRIPTION")) {
		t.Errorf("%s: %v %s", filepath.Base(page), err, warnings.Bytes())
	}
}

func TestTheKrewManifestNamesTheArchives(t *testing.T) {
	var plugin struct {
		Metadata struct{ Name string }
		Spec     struct {
			Version   string
			Platforms []struct {
				URI, SHA256, Bin string
				Selector         struct{ MatchLabels map[string]string }
			}
		}
	}
	if err := yaml.UnmarshalStrict(stripped(t, readFile(t, dist(t), "regpol.yaml")), &plugin); err != nil {
		t.Fatal(err)
	}
	if plugin.Metadata.Name != "regpol" || plugin.Spec.Version != version || len(plugin.Spec.Platforms) != 6 {
		t.Errorf("%+v", plugin)
	}
	sums := string(readFile(t, dist(t), "checksums.txt"))
	for _, platform := range plugin.Spec.Platforms {
		base := platform.URI[strings.LastIndexByte(platform.URI, '/')+1:]
		labels := platform.Selector.MatchLabels
		if !strings.Contains(sums, platform.SHA256+"  "+base+"\n") || !strings.Contains(base, labels["os"]+"_"+labels["arch"]) {
			t.Errorf("%+v is not an archive of the release", platform)
		}
	}
}

// stripped removes the members of a krew manifest that the test does not look at.
func stripped(t *testing.T, text []byte) []byte {
	t.Helper()
	var manifest map[string]any
	if err := yaml.Unmarshal(text, &manifest); err != nil {
		t.Fatal(err)
	}
	if manifest["apiVersion"] != "krew.googlecontainertools.github.com/v1alpha2" || manifest["kind"] != "Plugin" {
		t.Errorf("%v %v is not a plugin of krew", manifest["apiVersion"], manifest["kind"])
	}
	spec := manifest["spec"].(map[string]any)
	for _, platform := range spec["platforms"].([]any) {
		delete(platform.(map[string]any), "files")
	}
	text, err := json.Marshal(map[string]any{
		"metadata": manifest["metadata"], "spec": map[string]any{"version": spec["version"], "platforms": spec["platforms"]},
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestTheProvenanceNamesEveryFileAndTheCommit(t *testing.T) {
	directory := dist(t)
	var statement struct {
		PredicateType string
		Subject       []struct {
			Name   string
			Digest map[string]string
		}
		Predicate struct {
			BuildDefinition struct {
				ExternalParameters   map[string]string
				ResolvedDependencies []struct{ Digest map[string]string }
			}
		}
	}
	if err := json.Unmarshal(readFile(t, directory, "provenance.intoto.json"), &statement); err != nil {
		t.Fatal(err)
	}
	digests := map[string]string{}
	for _, subject := range statement.Subject {
		digests[subject.Name] = subject.Digest["sha256"]
	}
	for line := range strings.Lines(string(readFile(t, directory, "checksums.txt"))) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		if name != "provenance.intoto.json" && digests[name] != sum {
			t.Errorf("%s is %s in the provenance, and %s", name, digests[name], sum)
		}
	}
	for _, name := range []string{"image", "chart"} {
		if want := strings.TrimSpace(string(readFile(t, directory, name+".digest"))); "sha256:"+digests[name] != want {
			t.Errorf("the %s is %s in the provenance, and %s", name, digests[name], want)
		}
	}
	definition := statement.Predicate.BuildDefinition
	commit := strings.TrimSpace(mustOutput(t, "git", "-C", repository, "rev-parse", "HEAD"))
	if definition.ResolvedDependencies[0].Digest["gitCommit"] != commit || definition.ExternalParameters["version"] != version {
		t.Errorf("%+v", definition)
	}
}
