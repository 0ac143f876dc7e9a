package supervisor

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"syscall"
)

// Ports are taken from below the range out of which Linux (32768 to 60999)
// and macOS (49152 to 65535) give ports to outgoing connections: one of those
// could take the port of an instance that restarts.
const (
	firstPort = 20000
	lastPort  = 32767
	portTries = 1000
)

// ports are those that a supervisor has given to instances. No other supervisor of
// the machine gives the same, also while nobody listens there: before an instance
// does, and while it rests. They are the supervisor's as long as its process lives.
type ports struct {
	first, last int
	claims      map[int]io.Closer
}

func newPorts() ports { return ports{firstPort, lastPort, map[int]io.Closer{}} }

// take gives a port of address that nobody listens on, that is not taken, and that
// no other supervisor has given.
func (p *ports) take(address string, taken map[int]bool) (int, error) {
	var last error
	for range portTries {
		port := p.first + rand.IntN(p.last-p.first+1)
		if taken[port] {
			continue
		}
		if last = p.keep(port); last != nil {
			continue
		}
		if last = listens(net.JoinHostPort(address, strconv.Itoa(port))); last != nil {
			p.leave(port)
			continue
		}
		return port, nil
	}
	return 0, errors.Join(fmt.Errorf("no free port on %s between %d and %d", address, p.first, p.last), last)
}

// listens tells whether an address can be listened on, and no more does so itself once
// it returns. No process is forked meanwhile: until it execs, it would have the socket
// too, and the instance would find its port taken.
func listens(address string) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	return l.Close()
}

// keep makes a port the supervisor's, unless it is another one's.
func (p *ports) keep(port int) error {
	c, err := claim(port)
	if err == nil {
		p.claims[port] = c
	}
	return err
}

// leave gives a port to whoever wants it.
func (p *ports) leave(port int) {
	if c := p.claims[port]; c != nil {
		_ = c.Close() // nothing was written
	}
	delete(p.claims, port)
}

func (p *ports) leaveAll() {
	for port := range p.claims {
		p.leave(port)
	}
}
