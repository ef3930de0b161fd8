// Command memory runs the operator in a memory cgroup as small as the chart's limit, gives it far more than that can hold, and
// checks that the kernel kills nothing, that calls are answered throughout, and that what is too big is refused by a condition.
// It prints a row of figures for each case; with failures it exits 1.
//
// It is run in the work tree, by `make memory`, which provides kube-apiserver and etcd (KUBEBUILDER_ASSETS). It needs root, and
// a memory cgroup that it may write to.
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

// options say what is run.
type options struct {
	limit  int64    // bytes of the cgroup
	only   []string // names of cases; none: all
	binary string   // the operator's program; "": it is built
	flags  []string // more flags of the operator
	keep   string   // directory for the operators' logs; "": none
	rest   bool     // measure what replicas take at rest, in place of the cases
	// optional says that a machine on which no memory cgroup can be made leaves all of it out.
	optional bool
}

func (o *options) wanted(name string) bool { return len(o.only) == 0 || slices.Contains(o.only, name) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	o := options{}
	flag.Int64Var(&o.limit, "limit", defaultLimit, "bytes of memory that the operator may take")
	flag.Func("only", "names of cases, with commas between", func(text string) error {
		o.only = strings.Split(text, ",")
		return nil
	})
	flag.StringVar(&o.binary, "operator", "", "the operator's program; default: built from the work tree")
	flag.Func("flag", "a further flag of the operator, as in -flag=--log-level=debug; repeatable", func(text string) error {
		o.flags = append(o.flags, text)
		return nil
	})
	flag.StringVar(&o.keep, "keep", "", "directory for the logs of the operators")
	flag.BoolVar(&o.rest, "rest", false, "measure what replicas take while nothing changes, in place of the cases")
	flag.BoolVar(&o.optional, "optional", false, "where no memory cgroup can be made, say so and end without a failure")
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
