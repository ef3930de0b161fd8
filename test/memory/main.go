// Command memory runs the operator in a memory cgroup with the chart's limit, and stores policies and lists that need
// as much memory or more. It checks that the OOM killer does not kill the operator, that it answers all calls, and that
// policies beyond the budget get a condition that says so. It prints a row of figures for each case, and exits with 1
// after a failure.
//
// `make memory` runs it in the work tree and provides kube-apiserver and etcd (KUBEBUILDER_ASSETS). It needs root and a
// writable memory cgroup.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// defaultLimit is the memory limit of the chart and of config/manager, in bytes.
const defaultLimit = 256 << 20

// options are the flags.
type options struct {
	limit  int64    // of the cgroup, in bytes
	only   []string // names of cases; empty: all
	binary string   // the operator's program; "": build it
	flags  []string // additional flags of the operator
	keep   string   // directory for the operators' logs; "": not kept
	rest   bool     // measure replicas at rest instead of the cases
	// optional skips everything, without a failure, on a machine without a usable memory cgroup.
	optional bool
}

func (o *options) selected(name string) bool {
	return len(o.only) == 0 || slices.Contains(o.only, name)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	o := options{}
	flag.Int64Var(&o.limit, "limit", defaultLimit, "memory limit of the operator, in bytes")
	flag.Func("only", "comma-separated names of cases", func(text string) error {
		o.only = strings.Split(text, ",")
		return nil
	})
	flag.StringVar(&o.binary, "operator", "", "the operator's program; default: built from the work tree")
	flag.Func("flag", "additional flag of the operator, such as -flag=--log-level=debug; repeatable", func(text string) error {
		o.flags = append(o.flags, text)
		return nil
	})
	flag.StringVar(&o.keep, "keep", "", "directory for the logs of the operators")
	flag.BoolVar(&o.rest, "rest", false, "measure replicas while nothing changes, instead of the cases")
	flag.BoolVar(&o.optional, "optional", false, "if a memory cgroup cannot be created, say so and exit with 0")
	list := flag.Bool("list", false, "print the names of the cases and end")
	flag.Parse()
	if *list {
		for _, c := range cases() {
			fmt.Printf("%-20s %s\n", c.name, c.sentence)
		}
		for _, c := range restingCases() {
			fmt.Printf("%-20s %s; with -rest\n", c.name, c.sentence)
		}
		return
	}
	passed, err := run(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "memory:", err)
	}
	if err != nil || !passed {
		os.Exit(1)
	}
}
