package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// volumePath returns the path of a volume on this machine.
func volumePath(dir, volume string) string { return filepath.Join(dir, "volumes", volume) }

// writeVolumes writes the volumes of a pod, or those that have changed.
func (n *node) writeVolumes(ctx context.Context, object *corev1.Pod, dir string) error {
	for _, volume := range object.Spec.Volumes {
		if volume.EmptyDir != nil {
			if err := os.MkdirAll(volumePath(dir, volume.Name), 0o777); err != nil {
				return fmt.Errorf("volume %s: %w", volume.Name, err)
			}
			continue
		}
		if volume.Secret == nil {
			return fmt.Errorf("the stand-in has no volumes of the kind of %s", volume.Name)
		}
		if err := n.writeSecret(ctx, object.Namespace, volume.Secret, volumePath(dir, volume.Name)); err != nil {
			return fmt.Errorf("volume %s: %w", volume.Name, err)
		}
	}
	return nil
}

// writeSecret writes a Secret into a volume as a kubelet does: its files are in a directory for this version, the
// symlink `..data` to that directory is replaced atomically, and each name is a symlink to a file below `..data`.
func (n *node) writeSecret(ctx context.Context, namespace string, source *corev1.SecretVolumeSource, dir string) error {
	var secret corev1.Secret
	if err := n.cluster.kube.Get(ctx, client.ObjectKey{Namespace: namespace, Name: source.SecretName}, &secret); err != nil {
		if apierrors.IsNotFound(err) {
			// A kubelet would wait for the Secret. Here it must exist, because the pages create it before the pod.
			return fmt.Errorf("%w: create the Secret before the pods", errors.Unwrap(err))
		}
		return err
	}
	files := map[string][]byte{}
	for _, item := range source.Items {
		value, found := secret.Data[item.Key]
		if !found && source.Optional != nil && *source.Optional {
			continue
		}
		if !found {
			return fmt.Errorf("Secret %s has no key %q", source.SecretName, item.Key)
		}
		files[item.Path] = value
	}
	if source.Items == nil {
		files = secret.Data
	}
	version := "..version_" + secret.ResourceVersion
	latest := filepath.Join(dir, "..data")
	before, err := os.Readlink(latest)
	if err == nil && before == version {
		return nil
	}
	if err := os.MkdirAll(filepath.Join(dir, version), 0o700); err != nil {
		return err
	}
	for name, value := range files {
		if err := os.WriteFile(filepath.Join(dir, version, name), value, os.FileMode(*source.DefaultMode)&0o600); err != nil {
			return err
		}
	}
	if err := errors.Join(os.Symlink(version, latest+"_tmp"), os.Rename(latest+"_tmp", latest)); err != nil {
		return err
	}
	return tidyVolume(dir, version, files)
}

// tidyVolume makes the visible names in the volume those of the Secret's files, and removes directories of earlier
// versions.
func tidyVolume(dir, version string, files map[string][]byte) error {
	for name := range files {
		link := filepath.Join(dir, name)
		if _, err := os.Lstat(link); os.IsNotExist(err) {
			if err := os.Symlink(filepath.Join("..data", name), link); err != nil {
				return err
			}
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		_, wanted := files[entry.Name()]
		if wanted || entry.Name() == "..data" || entry.Name() == version {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// replaceMounts replaces the paths of a container's mounts by those on this machine.
func replaceMounts(container *corev1.Container, dir, argument string) (string, error) {
	for _, mount := range container.VolumeMounts {
		if mount.SubPath != "" || mount.SubPathExpr != "" {
			return "", fmt.Errorf("mount %s: a part of a volume does not follow its Secret", mount.Name)
		}
		argument = strings.ReplaceAll(argument, mount.MountPath, volumePath(dir, mount.Name))
	}
	return argument, nil
}
