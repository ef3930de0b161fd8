package controllers

import (
	"slices"

	"registrationpolicy.dev/operator/internal/loglevel"
	"registrationpolicy.dev/operator/rules"
)

// logWarnings logs what looks wrong in policies that have their lists, unless it did before the last change too.
func (d *Directory) logWarnings(documents []*document, policies []rules.Policy) {
	warnings := allWarnings(d.scopes, policies)
	for _, warning := range warnings {
		if slices.Contains(d.warned, warning) {
			continue
		}
		for _, document := range documents {
			if document.policy.PolicyName == warning.Policy {
				loglevel.Warn(d.logger, "Part of a policy looks wrong", "policy", warning.Policy.String(),
					"at", document.place(warning.Path), "path", warning.Path, "why", warning.Message)
			}
		}
	}
	d.warned = warnings
}
