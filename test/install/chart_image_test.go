package install

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The tests cannot build an image. They check the most frequent cause of a failed build: a package that .dockerignore
// excludes.
func TestTheImageIsBuiltOfAllThatItsProgramsNeed(t *testing.T) {
	ignore, err := os.ReadFile(filepath.FromSlash(repository + "/.dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	var sent []string
	for line := range strings.Lines(string(ignore)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "!"); ok {
			sent = append(sent, path)
		}
	}
	const module = "registrationpolicy.dev/operator/"
	packages, err := output("go", "-C", repository, "list", "-deps", "./cmd/operator", "./cmd/regpol")
	if err != nil {
		t.Fatal(err)
	}
	ours := 0
	for name := range strings.FieldsSeq(packages) {
		path, ok := strings.CutPrefix(name, module)
		if !ok {
			continue
		}
		ours++
		if !slices.ContainsFunc(sent, func(dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }) {
			t.Errorf("%s is needed, and kept out by .dockerignore", path)
		}
	}
	if ours == 0 {
		t.Error("no package of ours")
	}
	dockerfile, err := os.ReadFile(filepath.FromSlash(repository + "/Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`COPY --from=build /programs/operator /programs/regpol /`, `ENTRYPOINT ["/operator"]`, "USER 65532:65532"} {
		if !strings.Contains(string(dockerfile), want) {
			t.Errorf("the Dockerfile lacks %s", want)
		}
	}
}
