// Package explanation explains a decision: the policy and the entry that decide, the role of each other policy, and
// what the person reads.
package explanation
