package policylint

import (
	"cmp"
	"encoding/hex"
	"hash/fnv"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"registrationpolicy.dev/operator/internal/policyfile"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/violation"
	"registrationpolicy.dev/operator/internal/yamldoc"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/lint"
)

// Finding is one mistake, or one thing that looks wrong.
type Finding struct {
	// ID is the kind of finding, see [Kinds].
	ID string
	// Severity is the severity of the kind of finding.
	Severity Severity
	// At is where the entry, or another value, is written. Its File is "" for a policy of a cluster.
	At yamldoc.Position
	// Policy is the policy that the finding is about. It is the zero value if the finding is about an object that is
	// not a policy, or about a policy whose name is not valid.
	Policy rules.PolicyName
	// Path is the path of the value, for example spec.allow.domains[3]; "" for a whole file or object.
	Path string
	// Value is the text at Path as it is written, "" if it is not a scalar. Corrected is what to write instead, "" if no
	// single correction is known. Without [Options.ShowAddresses], both are as [violation.Shown] returns them.
	Value, Corrected string
	// Message says what is wrong, and the fix. It never holds a local part.
	Message string
}

// Options are the options of [Find].
type Options struct {
	// Scopes limits the policies of a namespace to calls from some sources.
	Scopes policyobject.Scopes
	// ShowAddresses shows values in full, with local parts of addresses and values of profiles. They may be personal.
	ShowAddresses bool
	// Files means that the policies come from files. A list that no file has is then only a warning, because it may be
	// in the cluster.
	Files bool
}

// Result is what [Find] returns.
type Result struct {
	// Findings are sorted by file, line and column. For policies of a cluster, they are sorted by policy and path.
	Findings []Finding
	// Silenced is the number of warnings that annotations silenced, see [SilencePrefix].
	Silenced int
}

// Find returns the findings about the policies and lists in checked.
func Find(checked *policyfile.Checked, options Options) Result {
	f := &finder{options: options, lists: checked.Lists, policies: map[rules.PolicyName]*policyfile.CheckedPolicy{}}
	var policies []rules.Policy
	for i := range checked.Policies {
		policy := &checked.Policies[i]
		if f.policies[policy.PolicyName] != nil && policy.Name != "" {
			continue // one of checked.Mistakes reports the second policy of this name
		}
		f.policies[policy.PolicyName] = policy
		f.inOrder = append(f.inOrder, policy)
		policies = append(policies, policy.Policy)
	}
	for _, mistake := range checked.Mistakes {
		f.add(Finding{
			ID: string(mistake.ID), Severity: Error, At: mistake.At, Policy: mistake.Policy, Path: mistake.Path, Value: mistake.Value,
			Corrected: mistake.Corrected, Message: mistake.Message,
		})
	}
	if options.Files {
		f.addMissingLists(policies)
	}
	for i := range policies {
		if !f.inOrder[i].Refused {
			f.addRejections(&policies[i])
		}
	}
	f.addWarnings(policies)
	silenced := f.silence()
	for i := range f.findings {
		f.findings[i].show(options.ShowAddresses)
	}
	slices.SortStableFunc(f.findings, compare)
	return Result{f.findings, silenced}
}

// finder collects findings.
type finder struct {
	options  Options
	policies map[rules.PolicyName]*policyfile.CheckedPolicy
	inOrder  []*policyfile.CheckedPolicy // the policies in the order of the files, without duplicates of a name
	lists    []policyfile.CheckedList
	findings []Finding
}

func (f *finder) add(finding Finding) { f.findings = append(f.findings, finding) }

// addAt adds a finding about the value at a path of a policy.
func (f *finder) addAt(name rules.PolicyName, id, path, message string) {
	finding := Finding{ID: id, Policy: name, Path: path, Message: message}
	finding.Severity, _ = severityOf(id)
	if policy := f.policies[name]; policy != nil {
		finding.At, finding.Value = policy.Position(path), policy.Value(path)
	}
	f.add(finding)
}

// addMissingLists adds a warning for each list that no file has. It puts a placeholder in the place of the list, so
// that the rest of the policy is examined as if the list were there.
func (f *finder) addMissingLists(policies []rules.Policy) {
	inFiles := map[types.NamespacedName]bool{}
	for _, list := range f.lists {
		inFiles[list.NamespacedName] = true
	}
	for i := range policies {
		policy := &policies[i]
		for _, uses := range []struct {
			field rules.EntryField
			lists *[]rules.ListUse
		}{{rules.AllowLists, &policy.Allow.Lists}, {rules.DenyLists, &policy.Deny.Lists}} {
			*uses.lists = slices.Clone(*uses.lists)
			for j := range *uses.lists {
				use := &(*uses.lists)[j]
				if use.List != nil || inFiles[types.NamespacedName{Namespace: policy.Namespace, Name: use.Name}] {
					continue
				}
				entry := rules.Entry{Field: uses.field, Index: j}
				f.addAt(policy.PolicyName, listNotInFiles, entry.String(), "list "+use.String()+": no file has a ConfigMap of this "+
					"name in namespace "+policy.Namespace+"; add its file, or silence this if the list is only in the cluster")
				use.List, use.Missing, use.Broken = placeholder(policy.Namespace, use), "", false
			}
		}
	}
}

// placeholder returns a list with one domain that no policy has. Different lists get different domains: otherwise two
// lists of a policy would be equal, and a warning would call one of them redundant.
func placeholder(namespace string, use *rules.ListUse) *rules.List {
	hash := fnv.New128a()
	_, _ = hash.Write([]byte(namespace + "/" + use.String())) // never fails
	return rules.CompileList([]byte(hex.EncodeToString(hash.Sum(nil)) + ".example.com\n"))
}

// addRejections adds a finding for each part of a policy that an operator does not put in force.
func (f *finder) addRejections(policy *rules.Policy) {
	if policy.NotUnderstood != "" {
		f.addAt(policy.PolicyName, notUnderstood, "", policy.NotUnderstood)
		return
	}
	_, outside, _ := f.options.Scopes.Bound(*policy)
	for _, rejection := range outside {
		f.addAt(policy.PolicyName, outsideScope, rejection.Path, rejection.Message)
	}
	for _, rejection := range rules.CompilePolicy(*policy).Rejections() {
		f.addAt(policy.PolicyName, idOf(&rejection), rejection.Path, rejection.Message)
	}
}

// addWarnings adds the warnings of all policies. A policy with mistakes has none, because it is not enforceable.
func (f *finder) addWarnings(policies []rules.Policy) {
	written := make([]lint.Policy, len(policies))
	for i := range policies {
		written[i].Policy = policies[i]
	}
	warnings := f.options.Scopes.Warnings(written)
	for _, policy := range f.inOrder {
		warnings = append(warnings, policy.Warnings...)
	}
	for _, warning := range warnings {
		if warning.ID == lint.NoEffect && f.hasError(warning.Policy) {
			continue // the finding of the error already says why the policy allows and denies nothing
		}
		f.addAt(warning.Policy, string(warning.ID), warning.Path, warning.Message)
	}
}

func (f *finder) hasError(policy rules.PolicyName) bool {
	return slices.ContainsFunc(f.findings, func(x Finding) bool { return x.Severity == Error && x.Policy == policy })
}

// show hides what may be personal in Value and Corrected, unless addresses is true.
func (x *Finding) show(addresses bool) {
	if addresses {
		return
	}
	if x.ID == string(violation.UnknownName) {
		x.Value = "" // the field may be meant for an address, so its value may hold a local part
	}
	x.Value, x.Corrected = violation.Shown(x.Path, x.Value), violation.Shown(x.Path, x.Corrected)
}

func compare(a, b Finding) int {
	return cmp.Or(
		strings.Compare(a.At.File, b.At.File),
		comparePlaces(&a, &b), a.Policy.Compare(b.Policy), comparePaths(a.Path, b.Path),
		strings.Compare(a.ID, b.ID), strings.Compare(a.Message, b.Message),
	)
}

// comparePlaces compares the lines and columns of two findings in one file. It returns 0 for objects of a cluster,
// which have no lines that a person could look up.
func comparePlaces(a, b *Finding) int {
	if a.At.File == "" {
		return 0
	}
	return cmp.Or(cmp.Compare(a.At.Line, b.At.Line), cmp.Compare(a.At.Column, b.At.Column))
}

// comparePaths compares paths, with the indexes in them as numbers: [2] is before [10].
func comparePaths(a, b string) int {
	aField, aIndex, _ := strings.Cut(a, "[")
	bField, bIndex, _ := strings.Cut(b, "[")
	return cmp.Or(strings.Compare(aField, bField), cmp.Compare(len(aIndex), len(bIndex)), strings.Compare(aIndex, bIndex))
}
