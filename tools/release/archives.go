package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

// regpolPlatforms are the platforms that regpol is released for.
var regpolPlatforms = []platform{
	{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}, {"windows", "amd64"}, {"windows", "arm64"},
}

// completions are the files with regpol's completions, by shell, under the names that the shells look for.
var completions = map[string]string{"bash": "regpol.bash", "zsh": "_regpol", "fish": "regpol.fish", "powershell": "regpol.ps1"}

// builtArchive is an archive with regpol.
type builtArchive struct {
	platform platform
	name     string
	digest   string // SHA-256, in hexadecimal
}

// archives writes regpol for each platform with its bill of materials.
func (b *build) archives(ctx context.Context) ([]builtArchive, error) {
	pages, err := b.documents(ctx)
	if err != nil {
		return nil, err
	}
	var built []builtArchive
	for _, p := range regpolPlatforms {
		programs, err := b.programs(ctx, p, "regpol")
		if err != nil {
			return nil, err
		}
		archive, err := b.archive(ctx, p, programs["regpol"], pages)
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("regpol_%s_%s_%s", b.plain(), p.os, p.arch)
		if err := b.writeBillOfMaterials(ctx, p, "regpol"); err != nil {
			return nil, err
		}
		name += map[bool]string{true: ".zip", false: ".tar.gz"}[p.os == "windows"]
		if err := b.write(name, archive); err != nil {
			return nil, err
		}
		sum := sha256.Sum256(archive)
		built = append(built, builtArchive{p, name, hex.EncodeToString(sum[:])})
	}
	return built, nil
}

// archive returns the archive of a platform.
func (b *build) archive(ctx context.Context, p platform, program string, pages map[string]file) ([]byte, error) {
	content, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	licence, err := os.ReadFile(filepath.Join(b.root, "LICENSE"))
	if err != nil {
		return nil, err
	}
	notices, err := b.notices(ctx, program)
	if err != nil {
		return nil, err
	}
	files := map[string]file{p.program("regpol"): {0o755, content}, "LICENSE": {0o644, licence}, "NOTICES": {0o644, notices}}
	maps.Copy(files, pages)
	if p.os == "windows" {
		return zipOf(files, b.commit.time)
	}
	return tarGzip(files, b.commit.time)
}

// documents returns the completions and the manual pages of regpol, which regpol itself writes and explains.
func (b *build) documents(ctx context.Context) (map[string]file, error) {
	programs, err := b.programs(ctx, platform{runtime.GOOS, runtime.GOARCH}, "regpol")
	if err != nil {
		return nil, err
	}
	files := map[string]file{}
	for shell, name := range completions {
		text, err := output(ctx, b.work, nil, programs["regpol"], "completion", shell)
		if err != nil {
			return nil, err
		}
		files["completions/"+name] = file{0o644, text}
	}
	pages, err := manualPages(func(words ...string) (string, error) {
		text, err := output(ctx, b.work, nil, programs["regpol"], append(words, "--help")...)
		return string(text), err
	}, b.version, b.commit.time)
	if err != nil {
		return nil, err
	}
	for name, text := range pages {
		files["man/man1/"+name] = file{0o644, []byte(text)}
	}
	return files, nil
}

// zipOf returns files as a zip archive, sorted and with one time.
func zipOf(files map[string]file, at time.Time) ([]byte, error) {
	var text bytes.Buffer
	archive := zip.NewWriter(&text)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		header := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: at}
		header.SetMode(files[name].mode)
		writer, err := archive.CreateHeader(header)
		if err != nil {
			return nil, err
		}
		if _, err := writer.Write(files[name].content); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return text.Bytes(), nil
}
