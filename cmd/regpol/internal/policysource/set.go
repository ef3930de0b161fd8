package policysource

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

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
		warnings = append(warnings, "ignored, because it is not a policy: "+other)
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
