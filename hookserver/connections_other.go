//go:build !unix

package hookserver

import "net"

// hasUnread cannot tell whether something has come on a connection that nobody has read: the server runs on Unix alone. Programs that
// share its words build anywhere.
func hasUnread(net.Conn) bool { return false }
