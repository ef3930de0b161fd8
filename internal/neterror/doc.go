// Package neterror describes network errors of Go's packages in sentences for people: what is wrong, then the fix. "dial
// tcp 192.0.2.1:443: connect: connection refused" becomes "lists.example.com refuses connections: check the URL".
//
// Of a URL it shows only the host, because user, path and query may be secrets.
package neterror
