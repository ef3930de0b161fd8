package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The files in the directory of the manual.
const (
	pageFile = "performance.md"
	jsonFile = "performance.json"
	plotDir  = "performance"
)

// Run says where and when a part was measured. A part that is measured later has its own.
type Run struct {
	// Date is the day, Commit that of the work tree, with a + if the tree has changes.
	Date   string `json:"date"`
	Commit string `json:"commit"`
	// Machine has the processor, Go the version.
	Machine string `json:"machine"`
	Go      string `json:"go"`
}

// stored is a part in the JSON file.
type stored struct {
	Run

	Figures []Figure `json:"figures"`
}

// Write writes a part into the directory of the manual: into the page between the part's markers, into the JSON file
// instead of the part's earlier figures, and its plots. Whatever else is there stays.
func (p *Part) Write(dir string, run Run) error {
	if err := p.writePage(filepath.Join(dir, pageFile), run); err != nil {
		return err
	}
	if err := p.writeJSON(filepath.Join(dir, jsonFile), run); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, plotDir), 0o755); err != nil {
		return err
	}
	for name, svg := range p.Plots {
		if err := os.WriteFile(filepath.Join(dir, plotDir, name), svg, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (p *Part) writePage(file string, run Run) error {
	page, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	begin, end := fmt.Sprintf("<!-- bench:%s -->\n", p.Name), fmt.Sprintf("<!-- /bench:%s -->\n", p.Name)
	before, rest, found := strings.Cut(string(page), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		return fmt.Errorf("%s has no lines %q and %q", file, strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	text := fmt.Sprintf("%s%s\n%sMeasured on %s, commit %s, %s, %s.\n%s%s",
		before, begin, p.text.String(), run.Date, run.Commit, run.Machine, run.Go, end, after)
	return os.WriteFile(file, []byte(text), 0o644)
}

func (p *Part) writeJSON(file string, run Run) error {
	parts := map[string]stored{}
	text, err := os.ReadFile(file)
	switch {
	case err == nil:
		if err := json.Unmarshal(text, &parts); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parts[p.Name] = stored{run, p.Figures}
	text, err = json.MarshalIndent(parts, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
