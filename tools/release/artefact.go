package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// artefact is an OCI artefact: what a registry stores like an image, and nobody runs.
type artefact struct {
	config      map[string]any
	configType  types.MediaType
	layers      []artefactLayer
	annotations map[string]string
}

// artefactLayer is a file of it.
type artefactLayer struct {
	content     []byte
	mediaType   types.MediaType
	annotations map[string]string
}

func (l artefactLayer) layer() v1.Layer { return static.NewLayer(l.content, l.mediaType) }

// image returns the artefact in the form in which the library writes it.
func (a artefact) image() (v1.Image, error) {
	config, err := json.Marshal(a.config)
	if err != nil {
		return nil, err
	}
	digest, size, err := v1.SHA256(bytes.NewReader(config))
	if err != nil {
		return nil, err
	}
	manifest := v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Annotations: a.annotations,
		Config: v1.Descriptor{MediaType: a.configType, Digest: digest, Size: size},
	}
	core := &artefactCore{config: config, layers: map[v1.Hash]v1.Layer{}}
	for _, of := range a.layers {
		layer := of.layer()
		descriptor, err := partial.Descriptor(layer)
		if err != nil {
			return nil, err
		}
		descriptor.Annotations = of.annotations
		manifest.Layers = append(manifest.Layers, *descriptor)
		core.layers[descriptor.Digest] = layer
	}
	if core.manifest, err = json.Marshal(manifest); err != nil {
		return nil, err
	}
	return partial.CompressedToImage(core)
}

// artefactCore is the least that the library needs to write an image.
type artefactCore struct {
	manifest, config []byte
	layers           map[v1.Hash]v1.Layer
}

func (c *artefactCore) RawConfigFile() ([]byte, error) { return c.config, nil }

func (c *artefactCore) RawManifest() ([]byte, error) { return c.manifest, nil }

func (c *artefactCore) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

func (c *artefactCore) LayerByDigest(digest v1.Hash) (partial.CompressedLayer, error) {
	layer, found := c.layers[digest]
	if !found {
		return nil, fmt.Errorf("no layer %s", digest)
	}
	return layer, nil
}
