package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	// user is a number, because Kubernetes cannot check runAsNonRoot for a name.
	user = "65532:65532"
	// attestation is the type of an entry of an index that describes another entry, in BuildKit's format. It travels
	// with the index through every registry and every tool that copies images.
	attestation = "attestation-manifest"

	typeInToto    types.MediaType = "application/vnd.in-toto+json"
	typeStatement string          = "https://in-toto.io/Statement/v1"
	typeCycloneDX string          = "https://cyclonedx.org/bom"
)

var (
	imagePlatforms = []platform{{"linux", "amd64"}, {"linux", "arm64"}}
	// exposed are the ports of the hook, the probes and the metrics.
	exposed = map[string]struct{}{"8080/tcp": {}, "8081/tcp": {}, "9090/tcp": {}}
)

// builtImage is the image of all platforms.
type builtImage struct {
	index      v1.ImageIndex
	byPlatform map[platform]v1.Image
}

// image builds the image: the programs operator and regpol, public certificate authorities, and licences. It has no
// shell and no package manager.
func (b *build) image(ctx context.Context) (*builtImage, error) {
	roots, err := publicRoots()
	if err != nil {
		return nil, err
	}
	built := &builtImage{byPlatform: map[platform]v1.Image{}}
	var images, statements []mutate.IndexAddendum
	for _, p := range imagePlatforms {
		programs, err := b.programs(ctx, p, "operator", "regpol")
		if err != nil {
			return nil, err
		}
		image, err := b.platformImage(ctx, p, programs, roots)
		if err != nil {
			return nil, err
		}
		digest, err := image.Digest()
		if err != nil {
			return nil, err
		}
		boms, err := b.statements(ctx, digest, programs)
		if err != nil {
			return nil, err
		}
		built.byPlatform[p] = image
		images = append(images, mutate.IndexAddendum{
			Add: untyped{image}, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: p.os, Architecture: p.arch}},
		})
		statements = append(statements, mutate.IndexAddendum{Add: untyped{boms}, Descriptor: v1.Descriptor{
			Platform:    &v1.Platform{OS: "unknown", Architecture: "unknown"}, // so that no node runs it
			Annotations: map[string]string{"vnd.docker.reference.type": attestation, "vnd.docker.reference.digest": digest.String()},
		}})
	}
	index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), append(images, statements...)...)
	built.index = mutate.Annotations(index, b.labels()).(v1.ImageIndex)
	return built, nil
}

// untyped keeps the library from writing an artifactType, which images do not have, into the index.
type untyped struct{ v1.Image }

// ArtifactType implements an interface of the library that it does not export.
func (untyped) ArtifactType() (string, error) { return "", nil }

// labels are the labels of the image, and the annotations of its index.
func (b *build) labels() map[string]string {
	const of = "org.opencontainers.image."
	return map[string]string{
		of + "title":       "registrationpolicy-operator",
		of + "description": "Decides who may register at Okta, from RegistrationPolicy objects.",
		of + "version":     b.version,
		of + "revision":    b.revision(),
		of + "created":     b.commit.time.Format(time.RFC3339),
		of + "licenses":    "Apache-2.0",
		of + "source":      b.source,
	}
}

// revision is the commit, with a mark if the work tree had changes.
func (b *build) revision() string {
	if b.commit.dirty {
		return b.commit.hash + "-dirty"
	}
	return b.commit.hash
}

// platformImage returns the image of one platform.
func (b *build) platformImage(ctx context.Context, p platform, programs map[string]string, roots []byte) (v1.Image, error) {
	licence, err := os.ReadFile(filepath.Join(b.root, "LICENSE"))
	if err != nil {
		return nil, err
	}
	notices, err := b.notices(ctx, slices.Sorted(maps.Values(programs))...)
	if err != nil {
		return nil, err
	}
	layers := []map[string]file{
		{"etc/ssl/certs/ca-certificates.crt": {0o444, roots}, "LICENSE": {0o444, licence}, "NOTICES": {0o444, notices}},
		{},
	}
	for name, path := range programs {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		layers[1][name] = file{0o555, content}
	}
	image := mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1)
	for _, files := range layers {
		text, err := tarOf(files, b.commit.time)
		if err != nil {
			return nil, err
		}
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil },
			tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
		if err != nil {
			return nil, err
		}
		if image, err = mutate.AppendLayers(image, layer); err != nil {
			return nil, err
		}
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = p.os, p.arch
	config.Created = v1.Time{Time: b.commit.time}
	config.History = nil // holds nothing but dates
	config.Config = v1.Config{
		User: user, Entrypoint: []string{"/operator"}, WorkingDir: "/", ExposedPorts: exposed, Labels: b.labels(),
		Env: []string{"PATH=/"}, // so that kubectl exec finds regpol
	}
	return mutate.ConfigFile(image, config)
}

// file is a file of an archive.
type file struct {
	mode    os.FileMode
	content []byte
}

// tarOf returns files as a tar archive, sorted, with their directories, owned by root and with one time.
func tarOf(files map[string]file, at time.Time) ([]byte, error) {
	var text bytes.Buffer
	archive := tar.NewWriter(&text)
	written := map[string]bool{".": true}
	var directory func(name string) error
	directory = func(name string) error {
		if written[name] {
			return nil
		}
		if err := directory(path.Dir(name)); err != nil {
			return err
		}
		written[name] = true
		return archive.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755, ModTime: at})
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := directory(path.Dir(name)); err != nil {
			return nil, err
		}
		f := files[name]
		header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: int64(f.mode), Size: int64(len(f.content)), ModTime: at}
		if err := archive.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := archive.Write(f.content); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return text.Bytes(), nil
}

// statement is an in-toto statement: something that is said about files or images.
type statement struct {
	Type          string    `json:"_type"`
	Subject       []subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     any       `json:"predicate"`
}

// subject is one of these files or images.
type subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// statements returns the bills of materials of an image's programs, for the image's index.
func (b *build) statements(ctx context.Context, image v1.Hash, programs map[string]string) (v1.Image, error) {
	of := artefact{
		config:     map[string]any{"architecture": "unknown", "os": "unknown", "config": map[string]any{}},
		configType: types.OCIConfigJSON,
	}
	var digests []string
	for _, name := range slices.Sorted(maps.Keys(programs)) {
		file, err := b.billOfMaterials(ctx, programs[name])
		if err != nil {
			return nil, err
		}
		bom, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(statement{
			Type: typeStatement, PredicateType: typeCycloneDX, Predicate: json.RawMessage(bom),
			Subject: []subject{{Name: "registrationpolicy-operator/" + name, Digest: map[string]string{image.Algorithm: image.Hex}}},
		})
		if err != nil {
			return nil, err
		}
		layer := artefactLayer{text, typeInToto, map[string]string{"in-toto.io/predicate-type": typeCycloneDX}}
		digest, err := layer.layer().Digest()
		if err != nil {
			return nil, err
		}
		digests = append(digests, digest.String())
		of.layers = append(of.layers, layer)
	}
	of.config["rootfs"] = map[string]any{"type": "layers", "diff_ids": digests}
	return of.image()
}

// writeImage writes the image as an OCI layout, for registries, and a tarball for each platform, for `docker load` and
// its kind.
func (b *build) writeImage(image *builtImage) error {
	reference, err := name.NewTag(b.options.image)
	if err != nil {
		return err
	}
	digest, err := image.index.Digest()
	if err != nil {
		return err
	}
	_, tag := b.repositoryAndTag()
	containerd := strings.Replace(reference.Name(), name.DefaultRegistry, "docker.io", 1)
	if err := writeLayout(filepath.Join(b.out, "image"), image.index, tag, containerd); err != nil {
		return err
	}
	b.subjects = append(b.subjects, ociSubject("image", digest))
	for _, p := range imagePlatforms {
		var text bytes.Buffer
		if err := tarball.Write(reference, image.byPlatform[p], &text); err != nil {
			return err
		}
		if err := b.write(fmt.Sprintf("image_%s_%s.tar", p.os, p.arch), text.Bytes()); err != nil {
			return err
		}
	}
	b.printf("image %s", digest)
	return b.write("image.digest", []byte(digest.String()+"\n"))
}

// writeLayout writes an index or an artefact as the only entry of an OCI layout, in place of what is there.
func writeLayout(directory string, of mutate.Appendable, tag, reference string) error {
	if err := os.RemoveAll(directory); err != nil {
		return err
	}
	path, err := layout.Write(directory, empty.Index)
	if err != nil {
		return err
	}
	annotations := map[string]string{"org.opencontainers.image.ref.name": tag}
	if reference != "" {
		annotations["io.containerd.image.name"] = reference // the name that containerd imports it by
	}
	switch of := of.(type) {
	case v1.ImageIndex:
		return path.AppendIndex(of, layout.WithAnnotations(annotations))
	case v1.Image:
		return path.AppendImage(of, layout.WithAnnotations(annotations))
	}
	return fmt.Errorf("%T is neither an index nor an artefact", of)
}
