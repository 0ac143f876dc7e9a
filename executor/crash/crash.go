// Package crash has the named points at which a test can make the program die
// or freeze as if the machine had. It owns their names; where they stand is
// the business of the code that calls At. Without the environment variable
// PLEAT_CRASH a point does nothing.
package crash

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// Variable names the point at which to die: "POINT", or "POINT:N" for the Nth
// time that it is reached, with "stop:" in front to freeze there instead.
// "trace:FILE" does neither, and appends the name of each point that is
// reached to the file, one a line.
const Variable = "PLEAT_CRASH"

// At dies by SIGKILL, or freezes by SIGSTOP until somebody sends SIGCONT, when
// PLEAT_CRASH says so; nothing that was deferred runs. It panics when
// PLEAT_CRASH makes no sense, since a test that names a wrong point would pass
// for nothing.
func At(point string) {
	o := ordered()
	if o == nil {
		return
	}
	if o.trace != "" {
		o.write(point)
	}
	if o.point == point && o.reached.Add(1) == o.nth {
		o.carryOut()
	}
}

// order is what PLEAT_CRASH asks for.
type order struct {
	point   string
	nth     int64
	signal  syscall.Signal
	reached atomic.Int64
	trace   string // a file
}

var ordered = sync.OnceValue(func() *order {
	o, err := parse(os.Getenv(Variable))
	if err != nil {
		panic(err)
	}
	return o
})

func parse(text string) (*order, error) {
	if text == "" {
		return nil, nil
	}
	if file, ok := strings.CutPrefix(text, "trace:"); ok && file != "" {
		return &order{trace: file}, nil
	}
	o := &order{nth: 1, signal: syscall.SIGKILL}
	rest, stop := strings.CutPrefix(text, "stop:")
	if stop {
		o.signal = syscall.SIGSTOP
	}
	name, count, counted := strings.Cut(rest, ":")
	if counted {
		n, err := strconv.ParseInt(count, 10, 64)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%s=%s: %q is no count from 1", Variable, text, count)
		}
		o.nth = n
	}
	if !declared(name) {
		return nil, fmt.Errorf("%s=%s: there is no point %q", Variable, text, name)
	}
	o.point = name
	return o, nil
}

// carryOut sends the signal and waits for it: it may reach another thread
// first, and this one must not go on meanwhile.
func (o *order) carryOut() {
	continued := make(chan os.Signal, 1)
	if o.signal == syscall.SIGSTOP {
		signal.Notify(continued, syscall.SIGCONT)
		defer signal.Stop(continued)
	}
	if err := syscall.Kill(os.Getpid(), o.signal); err != nil {
		panic(err)
	}
	<-continued
}

// write opens the file each time: the program may die anywhere, and nobody
// closes what a point keeps.
func (o *order) write(point string) {
	f, err := os.OpenFile(o.trace, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		panic(err)
	}
	_, err = f.WriteString(point + "\n")
	if err := errors.Join(err, f.Close()); err != nil {
		panic(err)
	}
}
