// Package diff is the verb diff: it says who may newly sign up after a change of policies, and who may no longer.
package diff
