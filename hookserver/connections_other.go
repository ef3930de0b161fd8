//go:build !unix

package hookserver

import "net"

// hasUnread always returns false. The server runs on Unix only; regpol imports the package on other systems.
func hasUnread(net.Conn) bool { return false }
