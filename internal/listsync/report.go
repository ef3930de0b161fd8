package listsync

import (
	"bytes"
	"fmt"
	"slices"

	"registrationpolicy.dev/operator/internal/listguard"
	"registrationpolicy.dev/operator/internal/listmemory"
	"registrationpolicy.dev/operator/rules"
)

// Outcome is the outcome of a synchronisation.
type Outcome string

// The outcomes.
const (
	// Done: the new content was written, or with --dry-run would be.
	Done Outcome = "done"
	// Unchanged: the cluster has this content already; nothing was written.
	Unchanged Outcome = "unchanged"
	// Refused: the guard refused the content; nothing was written.
	Refused Outcome = "refused"
)

// Report says what a run did, or with --dry-run would do. It never contains the local part of an address.
type Report struct {
	// Outcome is done, unchanged or refused.
	Outcome Outcome `json:"outcome"`
	// DryRun: nothing was written.
	DryRun bool `json:"dryRun,omitempty"`
	// Namespace and Name identify the ConfigMap.
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Source is the source of the content; a URL is without user and query.
	Source string `json:"source"`

	// Digest is the digest of the new content, and Entries the number of its distinct entries.
	Digest  string `json:"digest"`
	Entries int    `json:"entries"`
	// SkippedLines counts the lines that are not entries. FirstSkippedLines has the line numbers of the first ten.
	SkippedLines      int   `json:"skippedLines"`
	FirstSkippedLines []int `json:"firstSkippedLines,omitempty"`
	// SkippedReasons are the reasons why the lines are not entries, in the order of the first line of each.
	SkippedReasons []SkippedReason `json:"skippedReasons,omitempty"`

	// Previous is the digest of the old content. It is empty if there was none, or it could not be read.
	Previous string `json:"previous,omitempty"`
	// Added is the number of entries that only the new content has, Removed of those that only the old content has.
	Added   int `json:"added"`
	Removed int `json:"removed"`

	// Memory is the memory that the content takes in the operator.
	Memory *listmemory.Memory `json:"memory,omitempty"`

	// Shards is the number of shards, or 0 if one ConfigMap holds the whole list.
	Shards int `json:"shards"`
	// Written has the names of the ConfigMaps that were created or updated, or with DryRun would be. Deleted has the
	// names of those that were deleted.
	Written []string `json:"written,omitempty"`
	Deleted []string `json:"deleted,omitempty"`

	// Refusals are the guard's reasons against the new content, including those that --accept overrode.
	Refusals []listguard.Refusal `json:"refusals,omitempty"`
	// Accept is the digest to give to --accept to override the refusals. It is empty if nothing can override them.
	Accept string `json:"accept,omitempty"`
	// Warnings describe problems that did not stop the run.
	Warnings []string `json:"warnings,omitempty"`
}

// SkippedReason is a reason why lines of a list are not entries.
type SkippedReason struct {
	// Reason says what is wrong with the lines, and what to write instead. It quotes nothing of them.
	Reason string `json:"reason"`
	// Lines counts the lines with this reason. FirstLines has the line numbers of the first five.
	Lines      int   `json:"lines"`
	FirstLines []int `json:"firstLines"`
}

// maxSkippedNumbers is how many line numbers are listed for each reason.
const maxSkippedNumbers = 5

// skippedReasons returns the reasons why lines of a text are not entries. count is the number of such lines.
func skippedReasons(text []byte, count int) []SkippedReason {
	var all []SkippedReason
	number := 0
	for line := range bytes.Lines(text) {
		if count == 0 {
			break
		}
		number++
		reason := rules.SkippedLineReason(string(bytes.TrimSuffix(line, []byte("\n"))))
		if reason == "" {
			continue
		}
		count--
		at := slices.IndexFunc(all, func(r SkippedReason) bool { return r.Reason == reason })
		if at < 0 {
			at = len(all)
			all = append(all, SkippedReason{Reason: reason})
		}
		all[at].Lines++
		if len(all[at].FirstLines) < maxSkippedNumbers {
			all[at].FirstLines = append(all[at].FirstLines, number)
		}
	}
	return all
}

// entries returns "1 entry" or "N entries".
func entries(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}
