package lease

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// world tells where process ids mean what they mean here: the boot and the
// namespace of process ids, which two containers with one host name do not
// share. "" = cannot be told.
func world() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	namespace, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(boot)) + "/" + namespace
}

// process names the process that has that id at present by its world and when
// it began; "" when there is none that runs.
func process(pid int) string {
	w := world()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	// The name in parentheses may hold anything, also parentheses.
	end := bytes.LastIndexByte(stat, ')')
	if err != nil || w == "" || end < 0 {
		return ""
	}
	const state, began = 0, 19 // proc(5): fields 3 and 22
	fields := strings.Fields(string(stat[end+1:]))
	if len(fields) <= began || fields[state] == "Z" || fields[state] == "X" {
		return ""
	}
	return w + "/" + fields[began]
}

// sameWorld tells whether a name that process gave is from where we are.
func sameWorld(name string) bool {
	w := world()
	return w != "" && strings.HasPrefix(name, w+"/")
}
