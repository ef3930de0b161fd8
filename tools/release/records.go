package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

const (
	typeProvenance = "https://slsa.dev/provenance/v1"
	// buildType names what the parameters of the provenance mean: docs/contributing/releasing.md.
	buildType = "https://registrationpolicy.dev/build-types/make-release/v1"
	checksums = "checksums.txt"
)

// write writes a file of the release, and remembers its digest.
func (b *build) write(name string, content []byte) error {
	sum := sha256.Sum256(content)
	b.subjects = append(b.subjects, subject{Name: name, Digest: map[string]string{"sha256": hex.EncodeToString(sum[:])}})
	return os.WriteFile(filepath.Join(b.out, name), content, 0o644)
}

// krew writes the manifest of the kubectl plugin for krew, with the addresses at which a release of GitHub has the
// archives.
func (b *build) krew(archives []builtArchive) error {
	var platforms []any
	for _, archive := range archives {
		program := archive.platform.program("regpol")
		platforms = append(platforms, map[string]any{
			"selector": map[string]any{"matchLabels": map[string]any{"os": archive.platform.os, "arch": archive.platform.arch}},
			"uri":      fmt.Sprintf("%s/releases/download/%s/%s", b.source, b.version, archive.name),
			"sha256":   archive.digest,
			"bin":      program,
			"files":    []any{map[string]any{"from": program, "to": "."}, map[string]any{"from": "LICENSE", "to": "."}},
		})
	}
	text, err := yaml.Marshal(map[string]any{
		"apiVersion": "krew.googlecontainertools.github.com/v1alpha2", "kind": "Plugin",
		"metadata": map[string]any{"name": "regpol"},
		"spec": map[string]any{
			"version": b.version, "homepage": b.source,
			"shortDescription": "Say who may sign up to an Okta org, and why",
			"description": "Checks, tests, compares and explains RegistrationPolicy objects, which say who may sign up\n" +
				"to an Okta org, in files and in clusters; and calls a running hook as Okta would.\n",
			"platforms": platforms,
		},
	})
	if err != nil {
		return err
	}
	return b.write("regpol.yaml", text)
}

// provenance writes how all that was written before was built, as an in-toto statement without a signature.
func (b *build) provenance(ctx context.Context) error {
	compiler, err := output(ctx, b.root, buildEnvironment, "go", "env", "GOVERSION")
	if err != nil {
		return err
	}
	at := b.commit.time.Format(time.RFC3339)
	text, err := json.MarshalIndent(statement{
		Type: typeStatement, PredicateType: typeProvenance, Subject: b.subjects,
		Predicate: map[string]any{
			"buildDefinition": map[string]any{
				"buildType":          buildType,
				"externalParameters": map[string]any{"version": b.version, "image": b.options.image, "source": b.source},
				"internalParameters": map[string]any{"go": strings.TrimSpace(string(compiler)), "environment": buildEnvironment},
				"resolvedDependencies": []any{map[string]any{
					"uri": "git+" + b.source, "digest": map[string]any{"gitCommit": b.commit.hash},
					"annotations": map[string]any{"committed": at, "changed": b.commit.dirty},
				}},
			},
			"runDetails": map[string]any{"builder": map[string]any{"id": b.builder}},
		},
	}, "", "  ")
	if err != nil {
		return err
	}
	return b.write("provenance.intoto.json", append(text, '\n'))
}

// checksums writes the SHA-256 digests of all files that were written, for `sha256sum --check`.
func (b *build) checksums() error {
	var text bytes.Buffer
	for _, of := range b.subjects {
		if _, err := os.Stat(filepath.Join(b.out, of.Name)); err == nil && of.Name != "image" && of.Name != "chart" {
			fmt.Fprintf(&text, "%s  %s\n", of.Digest["sha256"], of.Name)
		}
	}
	return os.WriteFile(filepath.Join(b.out, checksums), text.Bytes(), 0o644)
}
