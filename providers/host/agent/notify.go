package agent

import (
	"errors"
	"fmt"
	"net"
	"os"
)

// notify tells the init system that this process answers and is the one to look
// after: sd_notify(3). Without one that asks for it, nothing is told.
func notify() error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	conn, err := net.Dial("unixgram", path)
	if err != nil {
		return fmt.Errorf("telling the init system: %w", err)
	}
	_, err = fmt.Fprintf(conn, "MAINPID=%d\nREADY=1", os.Getpid())
	return errors.Join(err, conn.Close())
}
