package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// replicated is the strategy of a PostgreSQL cluster of three, real servers that
// replicate by streaming. A promotion takes as long as a file says.
const replicated = `primary_last {
    promote {
      command = ["sh", "-c", "echo promoted >>DIR/cluster/promoted; sleep $(cat DIR/cluster/slow); exec cluster promote"]
    }
  }
  step_timeout = "60s"`

const clusterSpec = `
orchestrator "host" "local" {
  agents = ["unix://SOCKET"]
}

strategy "the_one" {
  ROLLS
}

service "demo" {
  strategy = strategy.the_one
  release  = "TO"

  process "db" {
    count   = 3
    command = ["sh", "-c", "echo $PLEAT_RELEASE >>$CLUSTER_DIR/starts; exec cluster run"]
    env     = { CLUSTER_DIR = "SHARED" }
    check "exec" {
      command       = ["sh", "-c", "test -s $PLEAT_ROLE"]
      interval      = "50ms"
      start_timeout = "60s"
    }
    drain {
      kill_after = "30s"
    }
  }
  release "each" {
    for_each = toset(["FROM", "TO"])
    artifact {
      path   = "bin/${each.key}"
      sha256 = filesha256("bin/${each.key}")
    }
  }
}
`

// cluster is the directory that the nodes of the lane share.
func (l *lane) cluster() string { return filepath.Join(l.dir, "cluster") }

// noted is a file in which the nodes and who promotes them write that they ran.
func (l *lane) noted(name string) string { return filepath.Join(l.cluster(), name) }

// makeCluster is the directory, in which PostgreSQL has a user of its own.
func (l *lane) makeCluster() error {
	return errors.Join(os.Chmod(l.dir, 0o755), os.Mkdir(l.cluster(), 0o777), os.Chmod(l.cluster(), 0o777))
}

// endServers ends what the nodes of examples/cluster leave behind where they are killed.
func endServers(cluster string) {
	files, _ := filepath.Glob(filepath.Join(cluster, "*", "data", "postmaster.pid"))
	for _, name := range files {
		text, _ := os.ReadFile(name)
		first, _, _ := strings.Cut(string(text), "\n")
		if pid, err := strconv.Atoi(first); err == nil && pid > 1 {
			syscall.Kill(pid, syscall.SIGQUIT)
		}
	}
}

// rowWriter is somebody who writes to the lane's cluster all the time.
type rowWriter struct {
	*exec.Cmd
	out bytes.Buffer
}

// clustered tells whether the world is of a cluster.
func (w *matrixWorld) clustered() bool { return w.rolls == replicated }

// beginCluster forgets what earlier cases noted, and begins to write.
func (s *sequence) beginCluster() {
	s.t.Helper()
	if !s.world.clustered() {
		return
	}
	for _, name := range []string{"starts", "promoted"} {
		if err := os.WriteFile(s.lane.noted(name), nil, 0o666); err != nil {
			s.t.Fatal(err)
		}
	}
	s.promoting(0)
	w := &rowWriter{Cmd: exec.Command("cluster", "write")}
	w.Env = append(s.lane.environ(""), "CLUSTER_DIR="+s.lane.cluster())
	w.Stdout, w.Stderr = &w.out, &w.out
	if err := w.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.nodes = w
	s.t.Cleanup(func() {
		if w.ProcessState == nil {
			w.Process.Kill()
			w.Wait()
		}
	})
}

// promoting has a promotion take that many seconds more.
func (s *sequence) promoting(seconds int) {
	s.t.Helper()
	if err := os.WriteFile(s.lane.noted("slow"), []byte(strconv.Itoa(seconds)), 0o666); err != nil {
		s.t.Fatal(err)
	}
}

// whole waits until the nodes have told what they are, one after the other.
func (s *sequence) whole() {
	s.t.Helper()
	if !s.world.clustered() {
		return
	}
	err := polled("one primary, one synchronous copy and one more", func() error {
		st, err := s.lane.agentState(s.t.Context())
		if err != nil {
			return err
		}
		var roles []string
		for _, i := range st.Instances {
			roles = append(roles, string(i.Role))
		}
		if slices.Sort(roles); !slices.Equal(roles, []string{"async", "primary", "sync"}) {
			return fmt.Errorf("there are %q", roles)
		}
		return nil
	})
	if err != nil {
		s.t.Error(err)
	}
}

// confirmed wants each row that the cluster confirmed.
func (s *sequence) confirmed() {
	s.t.Helper()
	if !s.world.clustered() {
		return
	}
	s.whole()
	if err := s.nodes.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Error(err)
	}
	if err := s.nodes.Wait(); err != nil || !strings.Contains(s.nodes.out.String(), ", 0 lost") {
		s.t.Errorf("the writer: %v\n%s", err, &s.nodes.out)
	}
}

// noteOf is what was noted in a file of the lane.
func (s *sequence) noteOf(name string) []string {
	s.t.Helper()
	text, err := os.ReadFile(s.lane.noted(name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.t.Fatal(err)
	}
	return strings.Fields(string(text))
}

// startedOnce wants that a rollout that was gone on with started each node once, and
// had one promoted.
func (s *sequence) startedOnce() {
	s.t.Helper()
	if !s.world.clustered() {
		return
	}
	if starts, promoted := s.noteOf("starts"), s.noteOf("promoted"); !slices.Equal(starts, slices.Repeat([]string{s.wanted}, 3)) || len(promoted) != 1 {
		s.t.Errorf("nodes were started as %q, and %d promoted", starts, len(promoted))
	}
}
