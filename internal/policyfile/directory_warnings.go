package policyfile

import (
	"fmt"
	"regexp"
	"slices"

	"registrationpolicy.dev/operator/internal/loglevel"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/rules/lint"
)

// logWarnings logs the warnings about policies and their lists. It does not log again those of the previous version of
// the files.
func (d *Directory) logWarnings(documents []*document, published []*publish.Policy) {
	policies := make([]lint.Policy, len(published))
	for i, policy := range published {
		policies[i] = lint.Policy{Policy: policy.Written, Compiled: policy.Compiled}
	}
	warnings := d.scopes.Warnings(policies)
	for _, document := range documents {
		warnings = append(warnings, document.valueWarnings()...)
	}
	for _, warning := range warnings {
		if slices.Contains(d.loggedWarnings, warning) {
			continue
		}
		for _, document := range documents {
			if document.policy.PolicyName == warning.Policy {
				loglevel.Warn(d.logger, "Part of a policy looks wrong", "policy", warning.Policy.String(),
					"at", document.Place(warning.Path), "path", warning.Path, "why", warning.Message)
			}
		}
	}
	d.loggedWarnings = warnings
}

var (
	// rewrittenNumber matches numbers whose digits YAML does not keep: 01234 is read as octal, and 1.10 becomes 1.1.
	rewrittenNumber = regexp.MustCompile(`^[-+]?(0[0-9_]+|0[xob][0-9a-fA-F_]+|[0-9]+_[0-9_]*|[0-9][0-9_]*\.[0-9_]*0)$`).MatchString
	// yaml11Boolean matches words that are booleans in YAML 1.1, which kubectl reads, and text in YAML 1.2.
	yaml11Boolean = regexp.MustCompile(`^([yY]|[nN]|[yY]es|YES|[nN]o|NO|[oO]n|ON|[oO]ff|OFF)$`).MatchString
)

// valueWarnings returns warnings about values of spec.profile without quotes that YAML may not read as the text that is
// written. Only the YAML node shows whether a value has quotes. No warning quotes a value, because it may be personal.
func (d *document) valueWarnings() []lint.Warning {
	if d.list != nil {
		return nil
	}
	var warnings []lint.Warning
	for i, attribute := range d.Get("spec", "profile").Items() {
		value := attribute.Get("value")
		for _, scalar := range append(value.Items(), value) {
			text, unquoted := scalar.Unquoted()
			var message string
			switch {
			case !unquoted:
				continue
			case rewrittenNumber(text):
				message = "YAML reads this as a number, which loses zeros, or is octal or hexadecimal; put it in quotes if it is text, such as a code"
			case yaml11Boolean(text):
				message = "YAML may read this as true or false; put it in quotes if it is text, else write true or false"
			default:
				continue
			}
			warnings = append(warnings, lint.Warning{
				Policy: d.policy.PolicyName, Path: fmt.Sprintf("spec.profile[%d].value", i), Message: message,
				ID: lint.UnquotedValue,
			})
		}
	}
	return slices.Compact(warnings)
}
