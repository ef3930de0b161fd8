package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// licenceFile matches the names of the files that a licence requires us to ship.
var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|copyright|notice|patents)([-_.].*)?$`)

// notices returns the licences and notices of all modules that are linked into programs, each text once, in the order
// of the first module that it belongs to.
func (b *build) notices(ctx context.Context, programs ...string) ([]byte, error) {
	linked := map[string]bool{}
	for _, program := range programs {
		information, err := buildinfo.ReadFile(program)
		if err != nil {
			return nil, err
		}
		for _, module := range information.Deps {
			if module.Replace != nil {
				module = module.Replace
			}
			linked[module.Path+"@"+module.Version] = true
		}
	}
	directories, err := b.moduleDirectories(ctx, slices.Sorted(maps.Keys(linked)))
	if err != nil {
		return nil, err
	}
	goroot, err := output(ctx, b.root, buildEnvironment, "go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	directories["the Go standard library"] = strings.TrimSpace(string(goroot))

	of := map[string][]string{} // the modules that have a text
	var texts []string          // in order
	for _, module := range slices.Sorted(maps.Keys(directories)) {
		found, err := licenceTexts(directories[module])
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("%s: no file with a licence", module)
		}
		for _, text := range found {
			if of[text] == nil {
				texts = append(texts, text)
			}
			of[text] = append(of[text], module)
		}
	}
	var all bytes.Buffer
	for _, text := range texts {
		fmt.Fprintf(&all, "%s\n%s\n\n%s\n\n", strings.Repeat("=", 80), strings.Join(of[text], "\n"), strings.TrimSpace(text))
	}
	return all.Bytes(), nil
}

// moduleDirectories returns the directory of each module in the module cache.
func (b *build) moduleDirectories(ctx context.Context, modules []string) (map[string]string, error) {
	text, err := output(ctx, b.root, buildEnvironment, "go", append([]string{"mod", "download", "-json"}, modules...)...)
	if err != nil {
		return nil, err
	}
	directories := map[string]string{}
	for decoder := json.NewDecoder(bytes.NewReader(text)); ; {
		var module struct{ Path, Version, Dir string }
		if err := decoder.Decode(&module); errors.Is(err, io.EOF) {
			return directories, nil
		} else if err != nil {
			return nil, err
		}
		directories[module.Path+" "+module.Version] = module.Dir
	}
}

// licenceTexts returns the licence and the notices in a directory.
func licenceTexts(directory string) ([]string, error) {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return nil, err
	}
	var texts []string
	for _, entry := range entries {
		if !entry.Type().IsRegular() || !licenceFile.MatchString(entry.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(directory, entry.Name()))
		if err != nil {
			return nil, err
		}
		texts = append(texts, string(text))
	}
	return texts, nil
}
