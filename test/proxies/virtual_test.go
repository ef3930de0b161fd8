package proxies

import (
	"io"
	"net"
	"sync"
	"testing"
)

// virtualAddress stands in for the address of a Service: it leads each new connection to another endpoint, and leaves
// those that there are where they lead.
type virtualAddress struct {
	address string

	mutex     sync.Mutex
	endpoints []string
	next      int
}

// startVirtualAddress starts one, which ends with the test.
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

// setEndpoints changes where new connections lead.
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

// lead joins the caller with an endpoint, and passes on the end of either's sending.
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
