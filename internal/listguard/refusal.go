package listguard

// Kind is a kind of refusal.
type Kind string

// The kinds of refusals.
const (
	// NotAList: the content as a whole is not a list, such as an HTML page. --accept cannot override it.
	NotAList Kind = "NotAList"
	// NotPinned: the digest of the content is not the one in --sha256. --accept cannot override it.
	NotPinned Kind = "NotPinned"
	// AllowedByName: the content would deny a domain or address that a policy of the namespace has in spec.allow.
	AllowedByName Kind = "AllowedByName"
	// MailboxProvider: a deny list would deny a mailbox provider, such as gmail.com, or a privacy relay; or an allow
	// list would allow one, and so everybody with an address there.
	MailboxProvider Kind = "MailboxProvider"
	// PublicSuffix: a deny list would deny a public suffix, such as a country (uk) or a kind of organisation in it
	// (ac.uk); or an allow list has a public suffix, below which anyone can register names.
	PublicSuffix Kind = "PublicSuffix"
	// TooMuchChange: more entries were added and removed than --max-change allows.
	TooMuchChange Kind = "TooMuchChange"
	// OverBudget: the list needs more memory than the namespace may take. The operator would refuse this list, or
	// another one of the namespace that fits today.
	OverBudget Kind = "OverBudget"
)

// Kinds returns all kinds of refusals.
func Kinds() []Kind {
	return []Kind{NotAList, NotPinned, AllowedByName, MailboxProvider, PublicSuffix, TooMuchChange, OverBudget}
}

// Refusal is a reason against new content.
type Refusal struct {
	// Kind is the kind of the refusal.
	Kind Kind `json:"kind"`
	// Entry is the refused entry. An address is without its local part: @ and the domain.
	Entry string `json:"entry,omitempty"`
	// Affects is the allowed name or the provider that the entry denies. For OverBudget it is the other list that would
	// no longer fit.
	Affects string `json:"affects,omitempty"`
	// Policy and Path identify the entry of a policy that allows Affects.
	Policy string `json:"policy,omitempty"`
	Path   string `json:"path,omitempty"`
	// Text describes the refusal for people.
	Text string `json:"text"`
}

// Acceptable reports whether --accept overrides the refusal.
func (r *Refusal) Acceptable() bool { return r.Kind != NotAList && r.Kind != NotPinned }
