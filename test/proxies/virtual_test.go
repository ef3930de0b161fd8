package proxies

import (
	"io"
	"net"
	"sync"
	"testing"
)

// virtualAddress simulates the virtual IP address of a Service: it forwards each new connection to the next endpoint. A
// change of endpoints does not affect existing connections.
type virtualAddress struct {
	address string

	mutex     sync.Mutex
	endpoints []string
	next      int
}

// startVirtualAddress starts a virtualAddress, which is stopped at the end of the test.
func startVirtualAddress(t *testing.T, endpoints ...string) *virtualAddress {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	v := &virtualAddress{address: listener.Addr().String(), endpoints: endpoints}
	go func() {
		for {
			caller, err := listener.Accept()
			if err != nil {
				return
			}
			go v.lead(t, caller.(*net.TCPConn))
		}
	}()
	return v
}

// setEndpoints changes the endpoints for new connections.
func (v *virtualAddress) setEndpoints(endpoints ...string) {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	v.endpoints = endpoints
}

func (v *virtualAddress) endpoint() string {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	v.next++
	return v.endpoints[v.next%len(v.endpoints)]
}

// lead forwards data between a caller and an endpoint. If one closes its sending direction, lead closes that of the
// other connection.
func (v *virtualAddress) lead(t *testing.T, caller *net.TCPConn) {
	defer func() { _ = caller.Close() }()
	to, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", v.endpoint())
	if err != nil {
		return
	}
	endpoint := to.(*net.TCPConn)
	defer func() { _ = endpoint.Close() }()
	var ways sync.WaitGroup
	for _, way := range [][2]*net.TCPConn{{caller, endpoint}, {endpoint, caller}} {
		ways.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_ = way[0].CloseWrite()
		})
	}
	ways.Wait()
}
