package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	mountV1 = "/sys/fs/cgroup/memory"
	mountV2 = "/sys/fs/cgroup"
)

// cgroup is a memory cgroup for one case, of version 1 or 2.
type cgroup struct {
	path string
	v2   bool
}

// newCgroup creates a cgroup with a limit in bytes and without swap. The process id in its name separates concurrent
// runs.
func newCgroup(name string, limit int64) (*cgroup, error) {
	g, err := makeCgroup(fmt.Sprintf("%s-%d", name, os.Getpid()))
	if err != nil {
		return nil, fmt.Errorf("a memory cgroup cannot be created (%w): run this as root, where /sys/fs/cgroup is writable and has the "+
			"memory controller: in a container, with --privileged", err)
	}
	maxFile, swapFile := "memory.limit_in_bytes", "memory.memsw.limit_in_bytes" // v1: memsw is memory and swap together
	noSwap := strconv.FormatInt(limit, 10)
	if g.v2 {
		maxFile, swapFile, noSwap = "memory.max", "memory.swap.max", "0"
	}
	if err := g.write(maxFile, strconv.FormatInt(limit, 10)); err != nil {
		return nil, errors.Join(err, g.remove())
	}
	if err := g.write(swapFile, noSwap); err != nil && !errors.Is(err, os.ErrNotExist) { // kernels without swap accounting
		return nil, errors.Join(err, g.remove())
	}
	return g, nil
}

// makeCgroup creates a cgroup below the one of this process. With version 2 it is below the nearest ancestor that
// enables the memory controller for its children.
func makeCgroup(name string) (*cgroup, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	var v1, v2 string
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(fields) != 3:
		case slices.Contains(strings.Split(fields[1], ","), "memory"):
			v1 = fields[2]
		case fields[0] == "0":
			v2 = fields[2]
		}
	}
	if v1 != "" {
		parent := filepath.Join(mountV1, v1)
		if _, err := os.Stat(parent); err != nil {
			parent = mountV1 // a container sees its own cgroup as the root
		}
		path := filepath.Join(parent, name)
		return &cgroup{path: path}, os.Mkdir(path, 0o755)
	}
	for parent := filepath.Join(mountV2, v2); strings.HasPrefix(parent, mountV2); parent = filepath.Dir(parent) {
		controllers, err := os.ReadFile(filepath.Join(parent, "cgroup.subtree_control"))
		if err == nil && slices.Contains(strings.Fields(string(controllers)), "memory") {
			path := filepath.Join(parent, name)
			return &cgroup{path: path, v2: true}, os.Mkdir(path, 0o755)
		}
	}
	return nil, errors.New("no cgroup above this process has memory in its cgroup.subtree_control")
}

func (g *cgroup) write(file, text string) error {
	return os.WriteFile(filepath.Join(g.path, file), []byte(text), 0o644)
}

// remove removes the cgroup, which must have no processes.
func (g *cgroup) remove() error { return os.Remove(g.path) }

// wrap returns the command line that runs a program in the cgroup from its first instruction.
func (g *cgroup) wrap(program string, args ...string) []string {
	const enter = `echo $$ >"$0"/cgroup.procs && exec "$@"`
	return append([]string{"/bin/sh", "-c", enter, g.path, program}, args...)
}

// oomKills returns how many processes of the cgroup the OOM killer has killed.
func (g *cgroup) oomKills() (int64, error) {
	if g.v2 {
		return g.field("memory.events", "oom_kill")
	}
	return g.field("memory.oom_control", "oom_kill")
}

func (g *cgroup) field(file, name string) (int64, error) {
	f, err := os.Open(filepath.Join(g.path, file))
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if value, found := strings.CutPrefix(lines.Text(), name+" "); found {
			return strconv.ParseInt(value, 10, 64)
		}
	}
	return 0, fmt.Errorf("%s has no %s", file, name)
}
