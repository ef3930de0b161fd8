package main

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// freeNetwork returns the first three bytes of addresses that nobody else listens on: each pod of a run has an address of the
// loopback network for itself, as it would have in a cluster.
func freeNetwork() string {
	for {
		const bytes = 254
		network := fmt.Sprintf("127.%d.%d", 1+rand.IntN(bytes), 1+rand.IntN(bytes))
		listener, err := net.Listen("tcp4", fmt.Sprintf("%s.1:%d", network, ports.Hook))
		if err == nil {
			_ = listener.Close()
			return network
		}
	}
}
