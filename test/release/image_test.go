package release

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// index returns the only index of the image's layout.
func index(t *testing.T) v1.ImageIndex {
	t.Helper()
	all, err := layout.ImageIndexFromPath(filepath.Join(dist(t), "image"))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := all.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 1 || manifest.Manifests[0].Annotations["org.opencontainers.image.ref.name"] != plain {
		t.Fatalf("the layout has %+v, want one entry with the tag %s", manifest.Manifests, plain)
	}
	found, err := all.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// images returns the image of each architecture, and what the index says of the others by the digest of the image.
func images(t *testing.T) (byArchitecture map[string]v1.Image, statements map[string]v1.Image) {
	t.Helper()
	of := index(t)
	manifest, err := of.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	byArchitecture, statements = map[string]v1.Image{}, map[string]v1.Image{}
	for _, entry := range manifest.Manifests {
		image, err := of.Image(entry.Digest)
		if err != nil {
			t.Fatal(err)
		}
		if about := entry.Annotations["vnd.docker.reference.digest"]; about != "" {
			statements[about] = image
			continue
		}
		byArchitecture[entry.Platform.Architecture] = image
	}
	return byArchitecture, statements
}

func TestTheImageIsWhole(t *testing.T) {
	byArchitecture, statements := images(t)
	if got := slices.Sorted(maps.Keys(byArchitecture)); !slices.Equal(got, []string{"amd64", "arm64"}) {
		t.Fatalf("the image is for %q", got)
	}
	for architecture, image := range byArchitecture {
		t.Run(architecture, func(t *testing.T) {
			if err := validate.Image(image); err != nil {
				t.Error(err)
			}
			config, err := image.ConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			if config.OS != "linux" || config.Architecture != architecture || config.Config.User != "65532:65532" ||
				!slices.Equal(config.Config.Entrypoint, []string{"/operator"}) || len(config.Config.ExposedPorts) != 3 {
				t.Errorf("%+v", config)
			}
			commit := strings.Fields(mustOutput(t, "git", "-C", repository, "log", "-1", "--format=%H %ct"))
			labels := config.Config.Labels
			if labels["org.opencontainers.image.version"] != version || labels["org.opencontainers.image.licenses"] != "Apache-2.0" ||
				!strings.HasPrefix(labels["org.opencontainers.image.revision"], commit[0]) || labels["org.opencontainers.image.source"] == "" {
				t.Errorf("labels %v", labels)
			}
			files := content(t, image)
			names := slices.Sorted(maps.Keys(files))
			if want := []string{"LICENSE", "NOTICES", "etc/ssl/certs/ca-certificates.crt", "operator", "regpol"}; !slices.Equal(names, want) {
				t.Errorf("the image has %q, want %q", names, want)
			}
			for _, program := range []string{"operator", "regpol"} {
				if got := machine(t, "linux", files[program]); got != architecture {
					t.Errorf("%s is for %s", program, got)
				}
			}
			checkRoots(t, files["etc/ssl/certs/ca-certificates.crt"])
			digest, err := image.Digest()
			if err != nil {
				t.Fatal(err)
			}
			checkStatements(t, digest, statements[digest.String()])

			loaded, err := tarball.ImageFromPath(filepath.Join(dist(t), "image_linux_"+architecture+".tar"), nil)
			if err != nil {
				t.Fatal(err)
			}
			id, err := image.ConfigName()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := loaded.ConfigName(); err != nil || got != id {
				t.Errorf("the tarball's image has the ID %s, want %s (%v)", got, id, err)
			}
		})
	}
}

// content returns the regular files of all layers.
func content(t *testing.T, image v1.Image) map[string][]byte {
	t.Helper()
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, layer := range layers {
		compressed, err := layer.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(files, unpackTar(t, compressed))
	}
	return files
}

// checkRoots fails unless the certificates can be read, are many, and have an authority that signs for Okta's hosts.
func checkRoots(t *testing.T, text []byte) {
	t.Helper()
	count, known := 0, false
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		count++
		known = known || certificate.Subject.CommonName == "DigiCert Global Root G2"
	}
	if count < 80 || !known {
		t.Errorf("%d certificate authorities, with DigiCert's: %v", count, known)
	}
}

// checkStatements fails unless the bills of materials of both programs describe the image.
func checkStatements(t *testing.T, digest v1.Hash, of v1.Image) {
	t.Helper()
	if of == nil {
		t.Fatal("the index has no bill of materials")
	}
	layers, err := of.Layers()
	if err != nil {
		t.Fatal(err)
	}
	if len(layers) != 2 {
		t.Errorf("%d bills of materials, want 2", len(layers))
	}
	for _, layer := range layers {
		reader, err := layer.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		var statement struct {
			Subject []struct {
				Name   string
				Digest map[string]string
			}
			Predicate struct{ Components []struct{ Name string } }
		}
		if err := json.Unmarshal(text, &statement); err != nil {
			t.Fatal(err)
		}
		if len(statement.Subject) != 1 || statement.Subject[0].Digest["sha256"] != digest.Hex || len(statement.Predicate.Components) < 20 {
			t.Errorf("subject %+v, %d components", statement.Subject, len(statement.Predicate.Components))
		}
	}
}

// The image is built again in a copy of the work tree, in another directory.
func TestTheSameCommitGivesTheSameImageInAnyDirectory(t *testing.T) {
	want := readFile(t, dist(t), "image.digest")
	if existing != "" { // RELEASE_DIST names it: its flags -source and -builder, which are in the bytes, are not known here
		t.Skip("the release of another run can have another address of the source")
	}
	top := strings.TrimSpace(mustOutput(t, "git", "-C", repository, "rev-parse", "--show-toplevel"))
	elsewhere := filepath.Join(t.TempDir(), "another", "place")
	if err := os.MkdirAll(elsewhere, 0o750); err != nil {
		t.Fatal(err)
	}
	mustOutput(t, "bash", "-euo", "pipefail", "-c", `cd "$1"
		git ls-files -z --cached --others --exclude-standard |
		while IFS= read -r -d '' file; do if [ -e "$file" ]; then printf '%s\0' "$file"; fi; done |
		tar --create --null --files-from=- --file=- | tar --extract --file=- --directory="$2"`, "copy", top, elsewhere)
	t.Setenv("GIT_DIR", strings.TrimSpace(mustOutput(t, "git", "-C", repository, "rev-parse", "--absolute-git-dir")))
	t.Setenv("GIT_WORK_TREE", elsewhere)
	t.Setenv("TZ", "Asia/Kathmandu")
	again := filepath.Join(t.TempDir(), "dist")
	mustOutput(t, "make", "-C", elsewhere, "release", "VERSION="+version, "DIST="+again, "RELEASE=-allow-dirty -only-image")
	if got := readFile(t, again, "image.digest"); !bytes.Equal(got, want) {
		t.Errorf("the image is %swant %s", got, want)
	}
	for _, name := range []string{"image_linux_amd64.tar", "image_linux_arm64.tar"} {
		if !bytes.Equal(readFile(t, again, name), readFile(t, dist(t), name)) {
			t.Errorf("%s differs", name)
		}
	}
}
