package explanation

import (
	"slices"

	"registrationpolicy.dev/operator/cmd/regpol/internal/policysource"
	"registrationpolicy.dev/operator/hookserver"
	"registrationpolicy.dev/operator/internal/optionerror"
	"registrationpolicy.dev/operator/internal/policyfile"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/rules"
)

// exampleID replaces the random id of a decision, so that two runs with the same input print the same text.
const exampleID = "ID-OF-THE-DECISION"

// Evaluation holds the compiled policies, for the explanation of any number of calls.
type Evaluation struct {
	Policies *policysource.Set // the policies as they were read
	// bounded has the policies, each limited to the sources that --namespace-sources gives its namespace. Snapshot has
	// these limited policies, compiled.
	bounded     map[rules.PolicyName]rules.Policy
	Snapshot    *rules.Snapshot
	enforceable map[rules.PolicyName]bool
	rejections  map[rules.PolicyName][]rules.Rejection // the parts of policies that are not in force
}

// Evaluate limits the policies by --namespace-sources (scopes), and compiles them.
func Evaluate(policies *policysource.Set, scopes policyobject.Scopes) *Evaluation {
	bounded, rejections := scopes.BoundAll(policies.Rules())
	snapshot, rejected := rules.Compile(bounded)
	e := &Evaluation{
		Policies: policies, Snapshot: snapshot, bounded: map[rules.PolicyName]rules.Policy{},
		enforceable: map[rules.PolicyName]bool{}, rejections: map[rules.PolicyName][]rules.Rejection{},
	}
	for _, policy := range bounded {
		e.bounded[policy.PolicyName] = policy
	}
	for _, summary := range snapshot.Policies() {
		e.enforceable[summary.PolicyName] = summary.Enforceable
	}
	for _, rejection := range append(rejections, rejected...) {
		e.rejections[rejection.Policy] = append(e.rejections[rejection.Policy], rejection)
	}
	return e
}

// notInForce describes the parts of a policy that are not in force.
func (e *Evaluation) notInForce(p *policyfile.ReadPolicy) []rejectionReport {
	var reports []rejectionReport
	if p.NotUnderstood != "" {
		reports = append(reports, rejectionReport{Message: p.NotUnderstood})
	}
	for _, rejection := range e.rejections[p.PolicyName] {
		reports = append(reports, rejectionReport{rejection.Path, rejection.Message, p.Place(rejection.Path)})
	}
	return reports
}

// HasRejections reports whether a part of any policy is not in force.
func (e *Evaluation) HasRejections() bool {
	return slices.ContainsFunc(e.Policies.Policies, func(p policyfile.ReadPolicy) bool { return len(e.notInForce(&p)) > 0 })
}

// Explanation is the decision about a call, with the policies that led to it.
type Explanation struct {
	*Evaluation
	call    *Call
	Preview hookserver.Preview // Preview has the decision and the answer
}

// optionFlags maps the fields of [hookserver.Options], which errors name, to the flags that set them.
var optionFlags = map[string]string{
	"Texts.NotAllowed": "--text-not-allowed", "Texts.Invalid": "--text-invalid", "Texts.Unavailable": "--text-unavailable",
	"Texts.Blank": "--text-blank", "AddressAttributes": "--address-attributes",
}

// Explain returns the explanation of a call. Its error names the flag of an option that has an invalid value.
func (e *Evaluation) Explain(call *Call, options hookserver.Options) (*Explanation, error) {
	preview, err := hookserver.DryRun(&call.request, e.Snapshot, exampleID, options)
	if err != nil {
		return nil, optionerror.ByFlag(err, optionFlags)
	}
	return &Explanation{e, call, preview}, nil
}
