package rules

// precedence orders the entries of one policy that match the same address. The entry with the lowest value gives the
// policy's verdict. An address precedes a domain, deny precedes allow of the same kind, an entry that stands in the
// policy itself precedes a list, and an allow of "*" is last.
type precedence uint8

const (
	precedenceDenyAddress precedence = iota
	precedenceAllowAddress
	precedenceDenyDomain
	precedenceAllowDomain
	precedenceDenyList
	precedenceAllowList
	precedenceAllowAny
)

func (p precedence) denies() bool {
	return p == precedenceDenyAddress || p == precedenceDenyDomain || p == precedenceDenyList
}
