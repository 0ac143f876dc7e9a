package main

import (
	"fmt"
	"os"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// terminalCommand gives what begin runs next a terminal to be asked on, and
// types on it:
//
//	terminal open
//	terminal watch     (it is also what is printed on, 80 by 24)
//	terminal type LINE
func terminalCommand(ts *testscript.TestScript, neg bool, args []string) {
	w := sceneOf(ts)
	switch {
	case !neg && len(args) == 1 && (args[0] == "open" || args[0] == "watch"):
		keyboard, screen, err := openTerminal()
		ts.Check(err)
		ts.Defer(func() { keyboard.Close(); screen.Close() })
		w.keyboard, w.screen, w.onScreen = keyboard, screen, args[0] == "watch"
		ts.Check(unix.IoctlSetWinsize(int(screen.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}))
	case !neg && len(args) == 2 && args[0] == "type":
		_, err := fmt.Fprintln(w.keyboard, args[1])
		ts.Check(err)
	default:
		ts.Fatalf("usage: terminal open, terminal watch, terminal type LINE")
	}
}

// Of Linux: ioctl_tty(2).
const (
	ptyNumber = 0x80045430 // TIOCGPTN
	ptyLock   = 0x40045431 // TIOCSPTLCK
)

// openTerminal makes a pseudo-terminal: pty(7).
func openTerminal() (keyboard, screen *os.File, err error) {
	keyboard, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	fd := int(keyboard.Fd())
	n, err := unix.IoctlGetInt(fd, ptyNumber)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, ptyLock, 0)
	}
	if err == nil {
		screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		keyboard.Close()
		return nil, nil, err
	}
	return keyboard, screen, nil
}
