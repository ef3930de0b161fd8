package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"sigs.k8s.io/yaml"
)

const (
	chartName = "registration-policy-operator"
	// Helm's media types.
	typeChartConfig  types.MediaType = "application/vnd.cncf.helm.config.v1+json"
	typeChartContent types.MediaType = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
)

var (
	chartVersions   = regexp.MustCompile(`(?m)^(version|appVersion): .*$`)
	chartRepository = regexp.MustCompile(`(?m)^(image:\n(?:  .*\n)*?  repository: ).*$`)
)

// chart writes the Helm chart of the version as a file, and as an OCI artefact for registries.
func (b *build) chart(ctx context.Context) error {
	files, metadata, err := b.chartFiles(ctx)
	if err != nil {
		return err
	}
	archive, err := tarGzip(files, b.commit.time)
	if err != nil {
		return err
	}
	if err := b.write(chartName+"-"+b.plain()+".tgz", archive); err != nil {
		return err
	}
	image, err := artefact{
		config: metadata, configType: typeChartConfig,
		layers: []artefactLayer{{content: archive, mediaType: typeChartContent}},
		annotations: map[string]string{
			"org.opencontainers.image.title":       chartName,
			"org.opencontainers.image.description": fmt.Sprint(metadata["description"]),
			"org.opencontainers.image.version":     b.plain(),
			"org.opencontainers.image.revision":    b.revision(),
			"org.opencontainers.image.created":     b.commit.time.Format(time.RFC3339),
			"org.opencontainers.image.licenses":    "Apache-2.0",
			"org.opencontainers.image.source":      b.source,
		},
	}.image()
	if err != nil {
		return err
	}
	digest, err := image.Digest()
	if err != nil {
		return err
	}
	// Helm expects a tag without the plus sign, which registries do not allow.
	if err := writeLayout(filepath.Join(b.out, "chart"), image, strings.ReplaceAll(b.plain(), "+", "_"), ""); err != nil {
		return err
	}
	b.subjects = append(b.subjects, ociSubject("chart", digest))
	return b.write("chart.digest", []byte(digest.String()+"\n"))
}

// chartFiles returns the files of the chart as they are in its archive, with the version and the image's repository of
// the release, and the content of Chart.yaml.
func (b *build) chartFiles(ctx context.Context) (map[string]file, map[string]any, error) {
	directory := filepath.Join("charts", chartName)
	listed, err := output(ctx, b.root, nil, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", directory)
	if err != nil {
		return nil, nil, err
	}
	repository, _ := b.repositoryAndTag()
	files := map[string]file{}
	var metadata map[string]any
	for path := range strings.SplitSeq(strings.TrimRight(string(listed), "\x00"), "\x00") {
		content, err := os.ReadFile(filepath.Join(b.root, path))
		if errors.Is(err, os.ErrNotExist) {
			continue // deleted, and not yet committed
		}
		if err != nil {
			return nil, nil, err
		}
		of := strings.TrimPrefix(filepath.ToSlash(path), filepath.ToSlash(directory)+"/")
		switch of {
		case "Chart.yaml":
			content = chartVersions.ReplaceAll(content, []byte("$1: "+b.plain()))
			if err := yaml.Unmarshal(content, &metadata); err != nil {
				return nil, nil, err
			}
			if metadata["version"] != b.plain() || metadata["appVersion"] != b.plain() {
				return nil, nil, errors.New("the file Chart.yaml has no lines version and appVersion")
			}
		case "values.yaml":
			if !chartRepository.Match(content) {
				return nil, nil, errors.New("values.yaml has no image.repository")
			}
			content = chartRepository.ReplaceAll(content, []byte("${1}"+repository))
		}
		files[chartName+"/"+of] = file{0o644, content}
	}
	if metadata == nil {
		return nil, nil, errors.New("no Chart.yaml")
	}
	return files, metadata, nil
}

// tarGzip is tarOf, compressed.
func tarGzip(files map[string]file, at time.Time) ([]byte, error) {
	text, err := tarOf(files, at)
	if err != nil {
		return nil, err
	}
	var compressed bytes.Buffer
	writer, err := gzip.NewWriterLevel(&compressed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := writer.Write(text); err != nil {
		return nil, err
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return compressed.Bytes(), nil
}

// ociSubject names an image or artefact by its digest.
func ociSubject(name string, digest v1.Hash) subject {
	return subject{Name: name, Digest: map[string]string{digest.Algorithm: digest.Hex}}
}
