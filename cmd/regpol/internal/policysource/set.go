package policysource

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"registrationpolicy.dev/operator/internal/listconfigmap"
	"registrationpolicy.dev/operator/internal/policyfile"
	"registrationpolicy.dev/operator/rules"
)

// Set holds the policies that a verb has read.
type Set struct {
	Policies        []policyfile.ReadPolicy // sorted by name
	files           []string                // the files and directories, unless the policies come from a cluster
	namespaces      []string                // the namespaces that were read, if the policies come from a cluster
	emptyNamespaces []string                // those of namespaces that have no policy
	otherObjects    []string                // file, line and kind of each object of the files that is not a policy or list
	missingPaths    []string                // the files that the revision does not have
	recursive       bool                    // the files include those below directories
}

// NoPolicy returns the error about files or namespaces without a policy.
func (f *Set) NoPolicy() error {
	if len(f.files) > 0 {
		give := "give a file or directory that has RegistrationPolicies, or -R for the directories below"
		if f.recursive {
			give = "give a file or directory that has RegistrationPolicies"
		}
		return fmt.Errorf("no policy in %s: %s; an operator without a policy denies every registration", strings.Join(f.files, ", "), give)
	}
	return fmt.Errorf("no policy in namespace %s: apply one, or choose another --namespace or --context; "+
		"an operator without a policy denies every registration", strings.Join(f.namespaces, ", "))
}

// Warnings returns the warnings about what was read.
func (f *Set) Warnings() []string {
	var warnings []string
	for _, path := range f.missingPaths {
		warnings = append(warnings, path+" is not there: compared with no policy, which denies every registration")
	}
	for _, other := range f.otherObjects {
		why := "it is not a policy"
		if strings.HasSuffix(other, ": ConfigMap") {
			why = "it is not a list: that has the label " + listconfigmap.Label + `: "true"`
		}
		warnings = append(warnings, "ignored, because "+why+": "+other)
	}
	if len(f.Policies) > 0 {
		for _, namespace := range f.emptyNamespaces {
			warnings = append(warnings, "no policy in namespace "+namespace)
		}
	}
	return warnings
}

// Rules returns the policies without their places.
func (f *Set) Rules() []rules.Policy {
	policies := make([]rules.Policy, len(f.Policies))
	for i := range f.Policies {
		policies[i] = f.Policies[i].Policy
	}
	return policies
}

// NotInForceOf returns a warning for each part of the policies that is not in force, and is thus left out of an
// analysis.
func NotInForceOf(set *Set, bounded []rules.Policy, rejections []rules.Rejection) []string {
	_, rejected := rules.Compile(bounded)
	var warnings []string
	for _, rejection := range slices.Concat(rejections, rejected) {
		at := ""
		if i := slices.IndexFunc(set.Policies, func(p policyfile.ReadPolicy) bool { return p.PolicyName == rejection.Policy }); i >= 0 {
			at = set.Policies[i].Place(rejection.Path)
		}
		at = cmp.Or(at, rejection.Policy.String()+" "+rejection.Path)
		warnings = append(warnings, fmt.Sprintf("%s: not in force: %s", at, rejection.Message))
	}
	for i := range set.Policies {
		if why := set.Policies[i].NotUnderstood; why != "" {
			warnings = append(warnings, fmt.Sprintf("%s cannot be enforced: %s", set.Policies[i].PolicyName, why))
		}
	}
	return warnings
}

// ListsElsewhere returns a text for each list that an enforced policy names and that no file has. Such a list may be in
// the cluster, so nothing is known about its entries. There are none if the policies come from a cluster.
func (f *Set) ListsElsewhere() []string {
	if len(f.files) == 0 {
		return nil
	}
	var texts []string
	for i := range f.Policies {
		policy := &f.Policies[i]
		if policy.Mode == rules.Audit {
			continue
		}
		for _, uses := range []struct {
			field rules.EntryField
			lists []rules.ListUse
		}{{rules.AllowLists, policy.Allow.Lists}, {rules.DenyLists, policy.Deny.Lists}} {
			for j := range uses.lists {
				if use := &uses.lists[j]; use.List == nil && !use.Broken {
					path := rules.Entry{Field: uses.field, Index: j}.String()
					texts = append(texts, fmt.Sprintf("%s: no file has the list %s of %s", policy.Place(path), use, policy.PolicyName))
				}
			}
		}
	}
	return texts
}
