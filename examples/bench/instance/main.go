// Command instance is what the bench of rollouts deploys: it answers every request
// at ADDR with 200, finishes those in flight when it is told to stop, and is small,
// so that what is measured is the rollout.
package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

const answer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Type: text/plain\r\n\r\nok\n"

func main() {
	listener, err := net.Listen("tcp", os.Getenv("ADDR"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if file := os.Getenv("PLEAT_HANDOVER"); file != "" { // it takes over at once
		if err := os.WriteFile(file, []byte(os.Getenv("PLEAT_RUN")+" done"), 0o600); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	var open sync.Map
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			open.Store(c, true)
			go func() {
				defer func() { open.Delete(c); _ = c.Close() }()
				serve(c)
			}()
		}
	}()
	<-stop
	_ = listener.Close()
	// Whoever drained it has none left in flight; idle connections end.
	open.Range(func(c, _ any) bool { _ = c.(net.Conn).SetReadDeadline(time.Now()); return true })
}

// serve answers requests without a body until the connection ends.
func serve(c net.Conn) {
	buf := make([]byte, 16<<10)
	filled := 0
	for {
		n, err := c.Read(buf[filled:])
		if err != nil {
			return
		}
		filled += n
		for {
			end := headEnd(buf[:filled])
			if end < 0 {
				break
			}
			if _, err := c.Write([]byte(answer)); err != nil {
				return
			}
			copy(buf, buf[end:filled])
			filled -= end
		}
		if filled == len(buf) {
			return // a head that large is no request of the bench
		}
	}
}

// headEnd is where the first head in b ends, -1 where it does not yet.
func headEnd(b []byte) int {
	for i := 3; i < len(b); i++ {
		if b[i] == '\n' && b[i-1] == '\r' && b[i-2] == '\n' && b[i-3] == '\r' {
			return i + 1
		}
	}
	return -1
}
