package main

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// freeNetwork returns the first three bytes of an unused /24 network in 127.0.0.0/8. Each pod gets its own address in
// it, as it would in a cluster.
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
