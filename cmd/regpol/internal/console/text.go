package console

import (
	"fmt"
	"strconv"
	"strings"
)

// QuoteIfNeeded quotes a text that is empty, has spaces at an end or has characters that are not printable.
func QuoteIfNeeded(text string) string {
	if quoted := strconv.Quote(text); strings.TrimSpace(text) != text || text == "" || quoted != `"`+text+`"` {
		return quoted
	}
	return text
}

// Counted returns a number with its noun.
func Counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
