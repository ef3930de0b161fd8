package listguard

import "strings"

// htmlPrefixBytes is the number of bytes at the start of a text in which isHTML looks for HTML.
const htmlPrefixBytes = 1024

// isHTML reports whether a text looks like an HTML page. Many sites send one if a list has moved or needs a sign-in.
func isHTML(text []byte) bool {
	begin := strings.ToLower(strings.TrimLeft(string(text[:min(len(text), htmlPrefixBytes)]), " \t\r\n\ufeff"))
	return strings.HasPrefix(begin, "<!doctype html") || strings.HasPrefix(begin, "<html") || strings.HasPrefix(begin, "<head")
}
