package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"registrationpolicy.dev/operator/hookserver"
	"registrationpolicy.dev/operator/internal/policyfile"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/policytest"
)

// outputJUnit is a value of --output that only test has: the format in which CI systems read the results of tests.
const outputJUnit = "junit"

// policyTestOptions holds the flags of test.
type policyTestOptions struct {
	paths            []string
	recursive        bool
	run              string
	attributes       []string
	namespaceSources []string
	coverage         bool
	failUnder        int
	showAddresses    bool
	verbose          bool
	output           string
}

func newPolicyTest(s streams) *cobra.Command {
	o := &policyTestOptions{}
	command := &cobra.Command{
		Use:   "test [PATH...]",
		Short: "Run the tests that stand beside policies",
		Long: `Run the tests in files named *` + policyfile.TestExtension + `. A case names a call, or a set of calls, and the decision that is expected.
For a set of calls the expectation is proven for each call, not sampled; if it does not hold, the output has an example.

A PATH is a file with tests, or a directory with such files; the default is the current directory. The policies are those in the
directory of the tests, unless the file names others.

Exit codes: 0 all cases pass; 1 a case fails, or the coverage is below --fail-under; 2 wrong usage, unreadable input or no test.`,
		Example: `  # The tests of a directory, and of those below
  regpol test config/samples/gitops
  regpol test -R config/samples

  # One case, with its explanation
  regpol test config/samples/gitops --run contractor -v

  # What no case covers, and a failure below 80 %
  regpol test config/samples/gitops --coverage --fail-under 80

  # For a CI system
  regpol test config/samples/gitops -o junit`,
		RunE: func(command *cobra.Command, args []string) error {
			o.paths = args
			if len(args) == 0 {
				o.paths = []string{"."}
			}
			return o.runAll(command.Context(), s)
		},
	}
	flags := command.Flags()
	flags.SortFlags = false
	flags.BoolVarP(&o.recursive, "recursive", "R", false, "also run the tests in the directories below")
	flags.StringVar(&o.run, "run", "", "run only the cases whose names match this regular expression")
	flags.StringSliceVar(&o.attributes, "address-attributes", hookserver.DefaultAddressAttributes(), "as the operator's flag")
	flags.StringArrayVar(&o.namespaceSources, "namespace-sources", nil, "as the operator's flag: namespace=source,source; repeatable")
	flags.BoolVar(&o.coverage, "coverage", false, "print which policies, entries and messages no case covers")
	flags.IntVar(&o.failUnder, "fail-under", 0, "exit with 1 if the cases cover less than this percentage of the entries")
	flags.BoolVar(&o.showAddresses, "show-addresses", false, "print whole addresses from entries, with their local parts")
	flags.BoolVarP(&o.verbose, "verbose", "v", false, "print every case, also those that pass")
	flags.StringVarP(&o.output, "output", "o", outputText, "text, junit, json, yaml")
	completeChoices(command, map[string][]string{"output": append([]string{outputJUnit}, outputs...)})
	return command
}

func (o *policyTestOptions) runAll(ctx context.Context, s streams) error {
	if err := validChoice("-o", o.output, append([]string{outputJUnit}, outputs...)); err != nil {
		return err
	}
	if o.failUnder < 0 || o.failUnder > 100 {
		return fmt.Errorf("--fail-under: %d is not a percentage: write a number from 0 to 100", o.failUnder)
	}
	name, err := regexp.Compile(o.run)
	if err != nil {
		return fmt.Errorf("--run: %q is not a regular expression: %w", o.run, err)
	}
	scopes, err := policyobject.ParseScopes(o.namespaceSources)
	if err != nil {
		return fmt.Errorf("--namespace-sources: %w", err)
	}
	files, err := o.readTests()
	if err != nil {
		return err
	}
	r := &testRun{options: o, scopes: scopes, sets: map[string]*testedPolicies{}}
	report := &testReport{Files: []testFileReport{}}
	for _, file := range files {
		result, err := r.file(ctx, file, name)
		if err != nil {
			return err
		}
		report.add(result)
	}
	if report.Passed+report.Failed == 0 {
		return fmt.Errorf("--run: no case has a name that matches %q", o.run)
	}
	if o.coverage || o.failUnder > 0 {
		report.Coverage = r.coverage()
	}
	if err := report.write(s, o); err != nil {
		return err
	}
	printWarnings(s, r.warnings)
	switch {
	case report.Failed > 0:
		return &exitError{code: exitDenied}
	case report.Coverage != nil && report.Coverage.percent() < o.failUnder:
		return &exitError{exitDenied, fmt.Errorf("the cases cover %d %% of the entries, below --fail-under %d",
			report.Coverage.percent(), o.failUnder)}
	}
	return nil
}

// testFile is a file with tests, and where it is.
type testFile struct {
	*policytest.File
	path string
}

// readTests reads the files with tests of the paths. The error joins all errors.
func (o *policyTestOptions) readTests() ([]testFile, error) {
	var paths []string
	for _, path := range o.paths {
		found, err := o.testFiles(path)
		if err != nil {
			return nil, err
		}
		paths = append(paths, found...)
	}
	slices.Sort(paths)
	var files []testFile
	var errs []error
	for _, path := range slices.Compact(paths) {
		text, err := readUpTo(path, policytest.MaxFile+1)
		if err != nil {
			errs = append(errs, fmt.Errorf("read tests: %w", err))
			continue
		}
		file, err := policytest.Read(path, text)
		errs = append(errs, err)
		files = append(files, testFile{file, path})
	}
	return files, errors.Join(errs...)
}

// testFiles returns the files with tests at a path.
func (o *policyTestOptions) testFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read tests: %w", err)
	}
	path = filepath.Clean(path)
	if !info.IsDir() {
		return []string{path}, nil
	}
	var found []string
	walked, err := filepath.EvalSymlinks(path) // WalkDir does not follow a link, not even that of the root
	if err != nil {
		return nil, fmt.Errorf("read tests: %w", err)
	}
	err = filepath.WalkDir(walked, func(at string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && at != walked && (!o.recursive || strings.HasPrefix(entry.Name(), ".")):
			return fs.SkipDir
		case !entry.IsDir() && strings.HasSuffix(entry.Name(), policyfile.TestExtension):
			found = append(found, filepath.Join(path, strings.TrimPrefix(at, walked)))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read tests: %w", err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no test in %s: write one into a file named *%s, or give -R to look in the directories below",
			path, policyfile.TestExtension)
	}
	return found, nil
}
