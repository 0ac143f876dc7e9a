package supervisor

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are taken from below the range out of which Linux (32768 to 60999)
// and macOS (49152 to 65535) give ports to outgoing connections: one of those
// could take the port of an instance that restarts.
const (
	firstPort = 20000
	lastPort  = 32767
	portTries = 1000
)

// freePort gives a port of address that nobody listens on and that is not
// taken.
func freePort(address string, taken map[int]bool) (int, error) {
	var last error
	for range portTries {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		if taken[port] {
			continue
		}
		l, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(port)))
		if err != nil {
			last = err
			continue
		}
		if err := l.Close(); err != nil {
			return 0, fmt.Errorf("looking for a free port: %w", err)
		}
		return port, nil
	}
	return 0, errors.Join(fmt.Errorf("no free port on %s between %d and %d", address, firstPort, lastPort), last)
}
