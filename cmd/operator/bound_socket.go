package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// backlog is the number of connections that may wait to be accepted. The kernel lowers it to net.core.somaxconn.
const backlog = 1<<16 - 1

// boundSocket is a TCP socket that is bound to an address but does not listen yet: the kernel refuses connections until
// listen is called. If another process listens on the port, bindSocket fails. If that process has only bound the port,
// bindSocket succeeds and listen may fail.
type boundSocket struct {
	file *os.File // nil after listen
	addr *net.TCPAddr
}

// bindSocket binds an address, which has the form that net.Listen takes, such as :8080.
func bindSocket(address string) (*boundSocket, error) {
	requested, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, err
	}
	file, err := bindFile(requested)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: requested, Err: err}
	}
	b := &boundSocket{file: file}
	if b.addr, err = boundAddress(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return b, nil
}

// bindFile binds a socket to an address, and returns it as a file. If the address has no host or an unspecified one
// (0.0.0.0 or ::), the socket is for IPv4 and IPv6, or only for IPv4 on a machine without IPv6, as with net.Listen.
func bindFile(requested *net.TCPAddr) (*os.File, error) {
	if requested.IP != nil && !requested.IP.IsUnspecified() {
		return bindFamily(socketAddress(requested))
	}
	file, err := bindFamily(syscall.AF_INET6, &syscall.SockaddrInet6{Port: requested.Port})
	if errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL) {
		file, err = bindFamily(syscall.AF_INET, &syscall.SockaddrInet4{Port: requested.Port})
	}
	return file, err
}

func socketAddress(requested *net.TCPAddr) (family int, _ syscall.Sockaddr) {
	if ip := requested.IP.To4(); ip != nil {
		return syscall.AF_INET, &syscall.SockaddrInet4{Port: requested.Port, Addr: [4]byte(ip)}
	}
	address := &syscall.SockaddrInet6{Port: requested.Port, Addr: [16]byte(requested.IP.To16())}
	if zone, err := net.InterfaceByName(requested.Zone); err == nil {
		address.ZoneId = uint32(zone.Index) //nolint:gosec // the kernel numbers interfaces from 1, in 31 bits
	}
	return syscall.AF_INET6, address
}

func bindFamily(family int, address syscall.Sockaddr) (*os.File, error) {
	syscall.ForkLock.RLock()
	descriptor, err := syscall.Socket(family, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(descriptor)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	file := os.NewFile(uintptr(descriptor), "hook socket")
	// As net.Listen does: connections of an earlier process in TIME_WAIT must not block the port.
	err = os.NewSyscallError("setsockopt", syscall.SetsockoptInt(descriptor, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1))
	if err == nil && family == syscall.AF_INET6 {
		err = os.NewSyscallError("setsockopt", syscall.SetsockoptInt(descriptor, syscall.IPPROTO_IPV6, syscall.IPV6_V6ONLY, 0))
	}
	if err == nil {
		err = os.NewSyscallError("bind", syscall.Bind(descriptor, address))
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// boundAddress returns the bound address. For port 0 it has the port that the system chose.
func boundAddress(file *os.File) (*net.TCPAddr, error) {
	address, err := syscall.Getsockname(int(file.Fd()))
	if err != nil {
		return nil, os.NewSyscallError("getsockname", err)
	}
	switch address := address.(type) {
	case *syscall.SockaddrInet4:
		return &net.TCPAddr{IP: address.Addr[:], Port: address.Port}, nil
	case *syscall.SockaddrInet6:
		return &net.TCPAddr{IP: address.Addr[:], Port: address.Port}, nil
	default:
		return nil, fmt.Errorf("getsockname: %T", address)
	}
}

// Addr returns the bound address with its port.
func (b *boundSocket) Addr() net.Addr { return b.addr }

// listen starts to accept connections. It may be called only once.
func (b *boundSocket) listen() (net.Listener, error) {
	file := b.file
	b.file = nil
	if err := syscall.Listen(int(file.Fd()), backlog); err != nil {
		err = &net.OpError{Op: "listen", Net: "tcp", Addr: b.addr, Err: os.NewSyscallError("listen", err)}
		return nil, errors.Join(err, file.Close())
	}
	listener, err := net.FileListener(file) // duplicates the descriptor
	return listener, errors.Join(err, file.Close())
}

// Close closes the socket. After listen it does nothing, because the listener owns the socket.
func (b *boundSocket) Close() error {
	if b.file == nil {
		return nil
	}
	return b.file.Close()
}
