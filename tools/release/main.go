// Command release builds all that is published for a version, or with -only-image the container image. It needs Go, git
// and bash, and no container engine. The same commit and compiler give the same bytes, in any directory.
//
//	release -root ../.. -version v1.2.3 -image registrationpolicy-operator:1.2.3 -out ../../dist
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
)

// versionForm is a semantic version with its v. What follows the patch level is for builds between releases.
var versionForm = regexp.MustCompile(`^v(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)([-+][0-9A-Za-z.+-]+)?$`)

// imageForm is the name of an image with its tag.
var imageForm = regexp.MustCompile(`^[^:\s]+(?::[0-9]+/[^:\s]+)?:([0-9A-Za-z_][0-9A-Za-z_.-]*)$`)

// options are the flags.
type options struct {
	root       string // the work tree
	out        string // the directory to write into
	version    string // such as v1.2.3
	image      string // the name that the tarballs of the image give it: repository:tag
	source     string // the address of the source, in labels and provenance
	builder    string // who builds, in the provenance
	allowDirty bool   // build a release from uncommitted changes
	onlyImage  bool
}

func main() {
	var o options
	flag.StringVar(&o.root, "root", ".", "the work tree")
	flag.StringVar(&o.out, "out", "dist", "the directory to write into")
	flag.StringVar(&o.version, "version", "", "the version, such as v1.2.3; required")
	flag.StringVar(&o.image, "image", "registrationpolicy-operator:dev", "the name and tag of the image")
	flag.StringVar(&o.source, "source", "https://registrationpolicy.dev/operator", "the address of the source code")
	flag.StringVar(&o.builder, "builder", "https://registrationpolicy.dev/builders/unattested", "who builds, as a URI")
	flag.BoolVar(&o.allowDirty, "allow-dirty", false, "build from uncommitted changes too")
	flag.BoolVar(&o.onlyImage, "only-image", false, "build only the image")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := o.run(ctx, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// run builds into o.out, and reports on log what it is doing.
func (o *options) run(ctx context.Context, log io.Writer) error {
	if flag.NArg() > 0 {
		return fmt.Errorf("unknown argument %q", flag.Arg(0))
	}
	if !versionForm.MatchString(o.version) {
		return fmt.Errorf("version %q: write it as v1.2.3", o.version)
	}
	if tag := imageForm.FindStringSubmatch(o.image); tag == nil {
		return fmt.Errorf("image %q: write it as REPOSITORY:TAG", o.image)
	} else if want := strings.TrimPrefix(o.version, "v"); !o.onlyImage && tag[1] != want {
		return fmt.Errorf("image %q: the chart expects the tag %s", o.image, want)
	}
	var err error
	if o.root, err = filepath.Abs(o.root); err != nil {
		return err
	}
	if o.out, err = filepath.Abs(o.out); err != nil {
		return err
	}
	commit, err := readCommit(ctx, o.root)
	if err != nil {
		return err
	}
	if commit.dirty && !o.allowDirty {
		return errors.New("the work tree has changes: commit or remove them, so that the commit tells what was built")
	}
	work, err := os.MkdirTemp("", "release")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	b := &build{options: o, commit: commit, work: work, log: log}
	return b.run(ctx)
}

// run builds everything, in an order in which what comes later describes what was there before.
func (b *build) run(ctx context.Context) error {
	if err := os.MkdirAll(b.out, 0o755); err != nil {
		return err
	}
	image, err := b.image(ctx)
	if err != nil {
		return fmt.Errorf("image: %w", err)
	}
	if err := b.writeImage(image); err != nil {
		return fmt.Errorf("image: %w", err)
	}
	if b.onlyImage {
		return nil
	}
	for _, p := range imagePlatforms {
		if err := b.writeBillOfMaterials(ctx, p, "operator"); err != nil {
			return fmt.Errorf("image: %w", err)
		}
	}
	if err := b.chart(ctx); err != nil {
		return fmt.Errorf("chart: %w", err)
	}
	if err := b.manifests(); err != nil {
		return fmt.Errorf("manifests: %w", err)
	}
	archives, err := b.archives(ctx)
	if err != nil {
		return fmt.Errorf("archives: %w", err)
	}
	if err := b.krew(archives); err != nil {
		return fmt.Errorf("krew: %w", err)
	}
	if err := b.provenance(ctx); err != nil {
		return fmt.Errorf("provenance: %w", err)
	}
	return b.checksums()
}
