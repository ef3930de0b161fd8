package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const crdHeader = `# The CustomResourceDefinition of %s. Deleting it deletes every RegistrationPolicy of the cluster.
`

const installHeader = `# The operator %s, in the namespace registration-policy. Before it, create the namespace, the Secret
# registration-hook-auth, and the definition:
#   kubectl create namespace registration-policy
#   openssl rand -hex 32 | kubectl -n registration-policy create secret generic registration-hook-auth --from-file=okta=/dev/stdin
#   kubectl apply --server-side -f crd.yaml
#   kubectl apply --server-side -f install.yaml
# Then route Okta's calls to the Service registration-policy-operator. The definition and the namespace are not in this
# file, so that "kubectl delete -f install.yaml" keeps the policies.
`

// manifests writes the objects of config as files for kubectl apply, with the image of the version.
func (b *build) manifests() error {
	definition, err := kustomize(filepath.Join(b.root, "config", "crd"))
	if err != nil {
		return err
	}
	if err := b.write("crd.yaml", append(fmt.Appendf(nil, crdHeader, b.version), definition...)); err != nil {
		return err
	}
	objects, err := b.overlay()
	if err != nil {
		return err
	}
	return b.write("install.yaml", append(fmt.Appendf(nil, installHeader, b.version), objects...))
}

// overlay returns the objects of config/default with another image.
func (b *build) overlay() ([]byte, error) {
	overlay := filepath.Join(b.work, "overlay")
	if err := os.MkdirAll(overlay, 0o755); err != nil {
		return nil, err
	}
	// Kustomize takes only relative paths. The temporary directory can be reached by a symbolic link.
	from, err := filepath.EvalSymlinks(overlay)
	if err != nil {
		return nil, err
	}
	to, err := filepath.EvalSymlinks(filepath.Join(b.root, "config", "default"))
	if err != nil {
		return nil, err
	}
	base, err := filepath.Rel(from, to)
	if err != nil {
		return nil, err
	}
	repository, tag := b.repositoryAndTag()
	text, err := yaml.Marshal(map[string]any{
		"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
		"resources": []string{filepath.ToSlash(base)},
		"images":    []map[string]string{{"name": "registrationpolicy-operator", "newName": repository, "newTag": tag}},
	})
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(overlay, "kustomization.yaml"), text, 0o600); err != nil {
		return nil, err
	}
	objects, err := kustomize(overlay)
	if err != nil {
		return nil, err
	}
	if !bytes.Contains(objects, []byte("image: "+b.options.image+"\n")) {
		return nil, errors.New("config/default has no image registrationpolicy-operator")
	}
	return objects, nil
}

// kustomize returns the objects of a directory in YAML.
func kustomize(directory string) ([]byte, error) {
	objects, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), directory)
	if err != nil {
		return nil, err
	}
	return objects.AsYaml()
}
