// Package listsource reads the text of a list from a file, from standard input or from an HTTPS URL.
//
// The host of a URL is not trusted: [Fetcher] limits the size, the time and the redirects. A URL may contain
// credentials in its user, path or query, so no error shows more of a URL than its host.
package listsource
