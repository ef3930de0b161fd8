package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// backlog is how many connections may wait to be accepted. The kernel lowers it to its own limit (net.core.somaxconn).
const backlog = 1<<16 - 1

// boundSocket holds a TCP address without listening on it: connections are refused until listen is called. A busy port is
// reported by bindSocket, or by listen if the other process does not listen yet either.
type boundSocket struct {
	file *os.File // nil once it listens or is closed
	addr *net.TCPAddr
}

// bindSocket binds an address of net.Listen's form.
func bindSocket(address string) (*boundSocket, error) {
	wanted, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, err
	}
	file, err := bindFile(wanted)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: wanted, Err: err}
	}
	b := &boundSocket{file: file}
	if b.addr, err = boundAddress(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return b, nil
}

// bindFile binds, as net.Listen does, both IP versions where the host is empty or unspecified, and IPv4 alone on a machine
// without IPv6.
func bindFile(wanted *net.TCPAddr) (*os.File, error) {
	if wanted.IP != nil && !wanted.IP.IsUnspecified() {
		return bindAs(socketAddress(wanted))
	}
	file, err := bindAs(syscall.AF_INET6, &syscall.SockaddrInet6{Port: wanted.Port})
	if errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL) {
		file, err = bindAs(syscall.AF_INET, &syscall.SockaddrInet4{Port: wanted.Port})
	}
	return file, err
}

func socketAddress(wanted *net.TCPAddr) (family int, _ syscall.Sockaddr) {
	if ip := wanted.IP.To4(); ip != nil {
		return syscall.AF_INET, &syscall.SockaddrInet4{Port: wanted.Port, Addr: [4]byte(ip)}
	}
	address := &syscall.SockaddrInet6{Port: wanted.Port, Addr: [16]byte(wanted.IP.To16())}
	if zone, err := net.InterfaceByName(wanted.Zone); err == nil {
		address.ZoneId = uint32(zone.Index) //nolint:gosec // the kernel numbers interfaces from 1 up, in 31 bits
	}
	return syscall.AF_INET6, address
}

func bindAs(family int, address syscall.Sockaddr) (*os.File, error) {
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
	// As net.Listen: connections of an earlier process that are still being closed are not in the way.
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

// boundAddress returns the address with the port that the system has chosen for port 0.
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

// Addr returns the address that is bound, with its port.
func (b *boundSocket) Addr() net.Addr { return b.addr }

// listen begins to accept connections. It may be called once.
func (b *boundSocket) listen() (net.Listener, error) {
	file := b.file
	b.file = nil
	if err := syscall.Listen(int(file.Fd()), backlog); err != nil {
		err = &net.OpError{Op: "listen", Net: "tcp", Addr: b.addr, Err: os.NewSyscallError("listen", err)}
		return nil, errors.Join(err, file.Close())
	}
	listener, err := net.FileListener(file) // of a duplicate
	return listener, errors.Join(err, file.Close())
}

// Close gives the address up, unless it listens: then the listener has it.
func (b *boundSocket) Close() error {
	if b.file == nil {
		return nil
	}
	return b.file.Close()
}
