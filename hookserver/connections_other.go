//go:build !unix

package hookserver

import "net"

// hasUnread always returns false. The server runs on Unix only; this file lets regpol, which imports the package, build elsewhere.
func hasUnread(net.Conn) bool { return false }
