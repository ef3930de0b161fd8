package listsync

import "fmt"

// Outcome is what became of a synchronisation.
type Outcome string

// The outcomes.
const (
	// Done: the new content is in force, or with --dry-run would be.
	Done Outcome = "done"
	// Unchanged: the cluster has this content already; nothing was written.
	Unchanged Outcome = "unchanged"
	// Refused: the guard objects; nothing was written.
	Refused Outcome = "refused"
)

// Report says what was done, or would be. It holds domains, and never a local part.
type Report struct {
	// Outcome is done, unchanged or refused.
	Outcome Outcome `json:"outcome"`
	// DryRun: nothing was written.
	DryRun bool `json:"dryRun,omitempty"`
	// Namespace and Name are those of the ConfigMap.
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Source is where the content comes from, a URL without user and query.
	Source string `json:"source"`

	// Digest is that of the new content, and Entries the number of its distinct entries.
	Digest  string `json:"digest"`
	Entries int    `json:"entries"`
	// SkippedLines is the number of lines that are no entries, FirstSkippedLines the numbers of the first of them.
	SkippedLines      int   `json:"skippedLines"`
	FirstSkippedLines []int `json:"firstSkippedLines,omitempty"`

	// Previous is the digest of the content in force before; "" if there was none that could be read.
	Previous string `json:"previous,omitempty"`
	// Added and Removed are numbers of entries, against the content before.
	Added   int `json:"added"`
	Removed int `json:"removed"`

	// Memory is what the content takes in the operator.
	Memory *Memory `json:"memory,omitempty"`

	// Shards is the number of shards, 0 if one ConfigMap holds it all.
	Shards int `json:"shards"`
	// Written, Deleted are the names of ConfigMaps that were made or changed, or are gone.
	Written []string `json:"written,omitempty"`
	Deleted []string `json:"deleted,omitempty"`

	// Objections are what the guard has against the new content, also where they were released.
	Objections []Objection `json:"objections,omitempty"`
	// Accept releases a refusal: the digest for --accept. "" where nothing can release it.
	Accept string `json:"accept,omitempty"`
	// Warnings are about what did not hinder the work.
	Warnings []string `json:"warnings,omitempty"`
}

// entries counts entries in words.
func entries(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}

// Kind is a class of objections.
type Kind string

// The classes of objections.
const (
	// NotAList: the content as a whole is not a list. Nothing releases it.
	NotAList Kind = "NotAList"
	// NotPinned: the content is not the one that --sha256 names. Nothing releases it but another --sha256.
	NotPinned Kind = "NotPinned"
	// AllowedByName: a policy of the namespace allows by name what the content would deny.
	AllowedByName Kind = "AllowedByName"
	// MailboxProvider: the content would deny, or in a list for allowing would allow, a mailbox provider or a privacy relay.
	MailboxProvider Kind = "MailboxProvider"
	// PublicSuffix: the content would deny a country or a sector of it, or in a list for allowing, strangers can register names there.
	PublicSuffix Kind = "PublicSuffix"
	// TooMuchChange: more entries come and go than --max-change lets pass.
	TooMuchChange Kind = "TooMuchChange"
	// OverBudget: the operator would refuse the content, or another list beside it, because the namespace may not take so much memory.
	OverBudget Kind = "OverBudget"
)

// Kinds returns all classes of objections.
func Kinds() []Kind {
	return []Kind{NotAList, NotPinned, AllowedByName, MailboxProvider, PublicSuffix, TooMuchChange, OverBudget}
}

// Objection is one thing that the guard has against a content.
type Objection struct {
	// Kind is its class.
	Kind Kind `json:"kind"`
	// Entry is the entry of the content; of an address, only the domain with its @.
	Entry string `json:"entry,omitempty"`
	// Of is what the entry hits: a domain that is allowed, or a provider's. Of OverBudget, the other list that would not fit.
	Of string `json:"of,omitempty"`
	// Policy and Path say which policy allows it, and where.
	Policy string `json:"policy,omitempty"`
	Path   string `json:"path,omitempty"`
	// Text is all of it in words.
	Text string `json:"text"`
}

// releasable says whether --accept lets a content pass in spite of this.
func (o *Objection) releasable() bool { return o.Kind != NotAList && o.Kind != NotPinned }
