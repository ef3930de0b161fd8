package testrun

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/input"
	"registrationpolicy.dev/operator/cmd/regpol/internal/junit"
	"registrationpolicy.dev/operator/cmd/regpol/internal/policysource"
	"registrationpolicy.dev/operator/internal/gitrevision"
	"registrationpolicy.dev/operator/internal/policyfile"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/policytest"
)

// policyTestOptions holds the flags of test.
type policyTestOptions struct {
	paths     []string
	recursive bool
	at        string
	revision  *gitrevision.Revision // of --at; nil for the files on the disk
	run       string
	policysource.OperatorFlags
	watch         bool
	coverage      bool
	failUnder     int
	showAddresses bool
	verbose       bool
	output        string
}

// Command returns the command regpol test.
func Command(s console.Streams) *cobra.Command {
	o := &policyTestOptions{}
	command := &cobra.Command{
		Use:   "test [PATH...]",
		Short: "Run the tests that stand beside policies",
		Long: `Run the tests in files named *` + policyfile.TestExtension + `. A case names a call, or a set of calls, and the decision
that is expected. For a set of calls the expectation is proven for each call, not sampled; if it does not hold, the output has an example.

A PATH is a file with tests, or a directory with such files; the default is the current directory. The policies are those in the
directory of the tests, unless the file names others.

Exit codes: 0 all cases pass; 1 a case fails, or the coverage is below --fail-under; 2 wrong usage, unreadable input or no test.
With --watch, the code is that of the last run.`,
		Example: `  # The tests of a directory, and of those below
  regpol test config/samples/gitops
  regpol test -R config/samples

  # The tests and policies of a branch, a tag or a commit
  regpol test config/samples/gitops --at HEAD

  # One case, with its explanation
  regpol test config/samples/gitops --run contractor -v

  # What no case covers, and a failure below 80 %
  regpol test config/samples/gitops --coverage --fail-under 80

  # Again after each change of the policies and tests, until Ctrl-C
  regpol test config/samples/gitops --watch

  # For a CI system
  regpol test config/samples/gitops -o junit`,
		RunE: func(command *cobra.Command, args []string) error {
			o.paths = args
			if len(args) == 0 {
				o.paths = []string{"."}
			}
			if command.Flags().Changed("at") {
				o.revision = gitrevision.New(o.at)
			}
			name, scopes, err := o.validate()
			switch {
			case err != nil:
				return err
			case o.watch:
				return o.runAndWatch(command.Context(), s, func() error { return o.runAll(command.Context(), s, name, scopes) })
			default:
				return o.runAll(command.Context(), s, name, scopes)
			}
		},
	}
	flags := command.Flags()
	flags.SortFlags = false
	flags.BoolVarP(&o.recursive, "recursive", "R", false, "also run the tests in the directories below")
	flags.StringVar(&o.at, "at", "", "read tests and policies from this Git revision: a branch, tag or commit")
	flags.StringVar(&o.run, "run", "", "run only the cases whose names match this regular expression")
	flags.BoolVar(&o.watch, "watch", false, "run again after each change of the tests, policies and calls, until an interrupt (Ctrl-C)")
	o.AddAddressAttributesFlag(flags)
	o.AddNamespaceSourcesFlag(flags)
	flags.BoolVar(&o.coverage, "coverage", false, "print which policies, entries and messages no case covers")
	flags.IntVar(&o.failUnder, "fail-under", 0, "exit with 1 if the cases cover less than this percentage of the entries")
	flags.BoolVar(&o.showAddresses, "show-addresses", false, "print whole addresses from entries, with their local parts")
	flags.BoolVarP(&o.verbose, "verbose", "v", false, "print every case, also those that pass")
	flags.StringVarP(&o.output, "output", "o", console.OutputText, "text, junit, json, yaml")
	console.CompleteChoices(command, map[string][]string{"output": append([]string{junit.Format}, console.Outputs...)})
	return command
}

// validate returns the values of --run and --namespace-sources.
func (o *policyTestOptions) validate() (name *regexp.Regexp, scopes policyobject.Scopes, _ error) {
	if err := console.ValidChoice("-o", o.output, append([]string{junit.Format}, console.Outputs...)); err != nil {
		return nil, scopes, err
	}
	switch {
	case o.failUnder < 0 || o.failUnder > 100:
		return nil, scopes, fmt.Errorf("--fail-under: %d is not a percentage: write a number from 0 to 100", o.failUnder)
	case o.watch && o.revision != nil:
		return nil, scopes, errors.New("--watch watches files on the disk, and --at reads a revision, which does not change: leave one of them out")
	case o.watch && o.output != console.OutputText:
		return nil, scopes, fmt.Errorf("--watch prints the text of one run after the other: leave it out, or -o %s", o.output)
	}
	name, err := regexp.Compile(o.run)
	if err != nil {
		return nil, scopes, fmt.Errorf("--run: %q is not a regular expression: %w", o.run, err)
	}
	scopes, err = o.Scopes()
	return name, scopes, err
}

// runAll runs the cases whose names match, and prints the report.
func (o *policyTestOptions) runAll(ctx context.Context, s console.Streams, name *regexp.Regexp, scopes policyobject.Scopes) error {
	files, err := o.readTests(ctx)
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
	console.PrintWarnings(s, r.warnings)
	switch {
	case report.Failed > 0:
		return &console.ExitError{Code: console.ExitDenied}
	case report.Coverage != nil && report.Coverage.percent() < o.failUnder:
		return &console.ExitError{Code: console.ExitDenied, Err: fmt.Errorf("the cases cover %d %% of the entries, below --fail-under %d",
			report.Coverage.percent(), o.failUnder)}
	}
	return nil
}

// testFile is a file with tests, and where it is.
type testFile struct {
	*policytest.File
	path string
	name string // for messages: the path, or REVISION:PATH
}

// readTests reads the files with tests of the paths. The error joins the mistakes in all files.
func (o *policyTestOptions) readTests(ctx context.Context) ([]testFile, error) {
	var found []gitrevision.File
	for _, path := range o.paths {
		files, err := o.testFiles(ctx, path)
		if err != nil {
			return nil, err
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("no test in %s: write one into a file named *%s, or give -R to look in the directories below",
				o.label(path), policyfile.TestExtension)
		}
		found = append(found, files...)
	}
	slices.SortStableFunc(found, func(a, b gitrevision.File) int { return strings.Compare(a.Path, b.Path) })
	found = slices.CompactFunc(found, func(a, b gitrevision.File) bool { return a.Path == b.Path })
	files := make([]testFile, len(found))
	errs := make([]error, len(found))
	for i, file := range found {
		files[i] = testFile{path: file.Path, name: o.label(file.Path)}
		files[i].File, errs[i] = policytest.Read(files[i].name, file.Text)
	}
	return files, errors.Join(errs...)
}

// label returns a path for messages.
func (o *policyTestOptions) label(path string) string {
	if o.revision != nil {
		return o.revision.Label(path)
	}
	return path
}

// readFile reads a file, on the disk or in the revision.
func (o *policyTestOptions) readFile(ctx context.Context, path string) ([]byte, error) {
	if o.revision == nil {
		return input.ReadUpTo(path, policyfile.MaxFile+1)
	}
	files, err := o.revision.Files(ctx, path, gitrevision.Selection{
		Keep: func(string) bool { return false }, MaxBytes: policyfile.MaxFile,
	})
	switch {
	case err != nil:
		return nil, err
	case len(files) == 0:
		return nil, fmt.Errorf("%s is a directory: write a file", o.label(path))
	}
	return files[0].Text, nil
}

// testFiles reads the files with tests at a path.
func (o *policyTestOptions) testFiles(ctx context.Context, path string) ([]gitrevision.File, error) {
	isTest := func(name string) bool { return strings.HasSuffix(name, policyfile.TestExtension) }
	if o.revision != nil {
		return o.revision.Files(ctx, path, gitrevision.Selection{Recursive: o.recursive, Keep: isTest, MaxBytes: policyfile.MaxFile})
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read tests: %w", err)
	}
	path = filepath.Clean(path) // a file that is given by two paths must run only once
	paths := []string{path}
	if info.IsDir() {
		if paths, err = o.testPaths(path, isTest); err != nil {
			return nil, fmt.Errorf("read tests: %w", err)
		}
	}
	files := make([]gitrevision.File, len(paths))
	for i, path := range paths {
		text, err := input.ReadUpTo(path, policyfile.MaxFile+1)
		if err != nil {
			return nil, fmt.Errorf("read tests: %w", err)
		}
		files[i] = gitrevision.File{Path: path, Text: text}
	}
	return files, nil
}

// testPaths returns the paths of the files in a directory of the disk, and with -R in those below, whose names isTest
// accepts.
func (o *policyTestOptions) testPaths(directory string, isTest func(name string) bool) ([]string, error) {
	below := []string{directory}
	if o.recursive {
		var err error
		if below, err = policyfile.Directories(directory); err != nil {
			return nil, err
		}
	}
	var found []string
	for _, directory := range below {
		entries, err := os.ReadDir(directory)
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			if !entry.IsDir() && isTest(entry.Name()) {
				found = append(found, filepath.Join(directory, entry.Name()))
			}
		}
	}
	return found, nil
}
