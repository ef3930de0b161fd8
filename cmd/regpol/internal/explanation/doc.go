// Package explanation explains a decision: the policy and the entry that decide, the part of the other policies, and what the
// person reads.
package explanation
