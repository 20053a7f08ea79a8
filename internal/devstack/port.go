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

// Port is a TCP port on 127.0.0.1 for a server that may go and come back: until
// Close no other program that takes one with TakePort is given it.
type Port struct {
	Number int
	// claim is a UDP socket of the same number: it tells the others, and leaves
	// the TCP port to the server.
	claim net.PacketConn
}

// TakePort takes a port that nobody listens on now.
func TakePort() (*Port, error) {
	var last error
	for range 100 {
		number := firstQuietPort + rand.N(lastQuietPort-firstQuietPort)
		p, err := claimPort(number)
		if err == nil {
			return p, nil
		}
		last = err
	}
	return nil, errors.Join(errors.New("devstack: no free port was found"), last)
}

func claimPort(number int) (*Port, error) {
	address := fmt.Sprintf("127.0.0.1:%d", number)
	claim, err := net.ListenPacket("udp", address)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, errors.Join(err, claim.Close())
	}
	return &Port{Number: number, claim: claim}, l.Close()
}

// Close gives the port up. Doing so twice, or for no port, is no error.
func (p *Port) Close() error {
	if p == nil {
		return nil
	}
	if err := p.claim.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
