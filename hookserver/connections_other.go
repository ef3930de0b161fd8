//go:build !unix

package hookserver

import "net"

// hasUnread always returns false. The server runs on Unix only. On other systems this package is built only for regpol,
// which serves nothing.
func hasUnread(net.Conn) bool { return false }
