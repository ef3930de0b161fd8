package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// commit is what is built.
type commit struct {
	hash  string    // in full
	time  time.Time // when it was committed; every file and image is dated so
	dirty bool      // whether the work tree has other content
}

// readCommit returns the commit of a work tree.
func readCommit(ctx context.Context, root string) (commit, error) {
	text, err := output(ctx, root, nil, "git", "log", "-1", "--format=%H %cI")
	if err != nil {
		return commit{}, err
	}
	hash, date, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	at, err := time.Parse(time.RFC3339, date)
	if err != nil {
		return commit{}, fmt.Errorf("the time of commit %s: %w", hash, err)
	}
	changes, err := output(ctx, root, nil, "git", "--no-optional-locks", "status", "--porcelain")
	if err != nil {
		return commit{}, err
	}
	return commit{hash: hash, time: at.UTC(), dirty: len(changes) > 0}, nil
}

// platform is an operating system and an architecture, by Go's names.
type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "/" + p.arch }

// program returns the file name of a program.
func (p platform) program(name string) string {
	if p.os == "windows" {
		return name + ".exe"
	}
	return name
}

// build is one run of this program.
type build struct {
	*options
	commit commit
	work   string // a temporary directory
	log    io.Writer
	// subjects are the files, images and artefacts that were written, in this order.
	subjects []subject
}

// printf reports progress.
func (b *build) printf(format string, args ...any) {
	fmt.Fprintf(b.log, "release: "+format+"\n", args...)
}

// plain returns the version without its v, as charts and tags have it.
func (b *build) plain() string { return strings.TrimPrefix(b.version, "v") }

// repositoryAndTag returns the parts of the image's name.
func (b *build) repositoryAndTag() (repository, tag string) {
	at := strings.LastIndexByte(b.options.image, ':')
	return b.options.image[:at], b.options.image[at+1:]
}

// buildEnvironment makes the compiler's output independent of the environment and of the settings of the go command.
var buildEnvironment = []string{
	"CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0", "GOFIPS140=off", "GODEBUG=",
}

// programs builds programs of cmd for a platform, and returns the path of each by its name. They are linked statically,
// and without the paths of this machine.
func (b *build) programs(ctx context.Context, p platform, names ...string) (map[string]string, error) {
	const stamps = "registrationpolicy.dev/operator/internal/version."
	flags := fmt.Sprintf("-s -w -X %sstamped=%s -X %scommit=%s -X %sdate=%s",
		stamps, b.version, stamps, b.commit.hash, stamps, b.commit.time.Format(time.RFC3339))
	directory := filepath.Join(b.work, p.os+"_"+p.arch)
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return nil, err
	}
	built := map[string]string{}
	for _, name := range names {
		file := filepath.Join(directory, p.program(name))
		if _, err := os.Stat(file); err != nil { // not yet built
			b.printf("build %s for %s", name, p)
			environment := append([]string{"GOOS=" + p.os, "GOARCH=" + p.arch}, buildEnvironment...)
			arguments := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", file, "./cmd/" + name}
			if _, err := output(ctx, b.root, environment, "go", arguments...); err != nil {
				return nil, err
			}
		}
		built[name] = file
	}
	return built, nil
}

// billOfMaterials returns the path of the CycloneDX bill of materials of a program, and fails if a licence must not be
// shipped.
func (b *build) billOfMaterials(ctx context.Context, program string) (string, error) {
	file := program + ".cdx.json"
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	b.printf("list the modules of %s", filepath.Join(filepath.Base(filepath.Dir(program)), filepath.Base(program)))
	if _, err := output(ctx, b.root, nil, filepath.Join(b.root, "hack", "sbom.sh"), b.version, program); err != nil {
		return "", err
	}
	return file, stableBOM(file)
}

// stableBOM removes from a bill of materials the digests of the tool that wrote it, because they differ between machines.
func stableBOM(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var bom map[string]any
	if err := json.Unmarshal(text, &bom); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	metadata, _ := bom["metadata"].(map[string]any)
	tools, _ := metadata["tools"].([]any)
	for _, tool := range tools {
		if tool, ok := tool.(map[string]any); ok {
			delete(tool, "hashes")
		}
	}
	if text, err = json.MarshalIndent(bom, "", "  "); err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

// writeBillOfMaterials writes that of a program as a file of the release.
func (b *build) writeBillOfMaterials(ctx context.Context, p platform, name string) error {
	programs, err := b.programs(ctx, p, name)
	if err != nil {
		return err
	}
	file, err := b.billOfMaterials(ctx, programs[name])
	if err != nil {
		return err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return b.write(fmt.Sprintf("%s_%s_%s_%s.cdx.json", name, b.plain(), p.os, p.arch), text)
}

// output runs a program in a directory, with more environment variables, and returns what it prints.
func output(ctx context.Context, directory string, environment []string, name string, args ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, name, args...)
	command.Dir = directory
	command.Env = append(os.Environ(), environment...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	text, err := command.Output()
	if err != nil {
		return text, fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err, stderr.Bytes())
	}
	return text, nil
}
