package devstack

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// The ports of servers that may go and come back lie below those that systems
// give to outgoing connections (Linux: from 32768, IANA: from 49152), or anybody's
// connection could take the port while its server is away.
const (
	firstQuietPort = 10000
	lastQuietPort  = 32000
)

// quietPort is a port on 127.0.0.1 that nobody listens on now.
func quietPort() (int, error) {
	var last error
	for range 100 {
		port := firstQuietPort + rand.N(lastQuietPort-firstQuietPort)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return port, l.Close()
		}
		last = err
	}
	return 0, errors.Join(errors.New("devstack: no free port was found"), last)
}
