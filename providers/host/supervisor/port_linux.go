package supervisor

import (
	"fmt"
	"io"
	"net"
)

// claim holds a name that one process of a machine can have: unix(7), abstract. The
// kernel gives it up with the process. Those names are apart where ports are, since
// they belong to a network namespace too.
func claim(port int) (io.Closer, error) {
	return net.Listen("unix", fmt.Sprintf("@pleat-port-%d", port))
}
