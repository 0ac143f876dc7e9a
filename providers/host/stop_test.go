package host_test

import (
	"errors"
	"fmt"
	"testing"

	"pleat/planner"
	"pleat/providers/host/agenttest"
	"pleat/providers/host/api"
)

// An attempt that comes after one that was cut short asks of the successor what that
// one found: who was up when the first instance was told to stop.
func TestAStopThatIsMadeAgainKnowsWhoWasUp(t *testing.T) {
	for _, crashes := range []bool{false, true} {
		t.Run(fmt.Sprintf("crashes=%t", crashes), func(t *testing.T) {
			w := newWorld(t, agenttest.Options{Name: "a"}, agenttest.Options{Name: "b"})
			old, successor := w.start("1.0.0", 2), w.start("2.0.0", 2)
			w.mustApply("s1", old)
			w.mustApply("s2", successor)
			stop := stopOf(old, true)
			stop.By, stop.Floor = "2.0.0", 2
			for n, a := range w.agents { // the attempt that was cut short
				told := api.Stop{Drain: agenttest.Drain(), Key: holder.Run + "/s3"}
				if err := a.StopInstance(t.Context(), agenttest.Ref("1.0.0", fmt.Sprintf("web.%d", n+1)), told); err != nil {
					t.Fatal(err)
				}
			}
			if !crashes {
				w.mustApply("s3", stop)
				return
			}
			i, _ := w.agents[1].Instance(agenttest.Ref("2.0.0", "web.2"))
			agenttest.Crash(i, 7)
			agenttest.Until(t, "it is seen dead", func() error {
				if i, _ := w.agents[1].Instance(i.Ref); i.Restarts == 0 {
					return fmt.Errorf("it is %s", i.State)
				}
				return nil
			})
			if err := w.apply("s3", stop); !errors.Is(err, planner.ErrUnwell) {
				t.Errorf("Stop = %v, want that one of the successor did not stay up", err)
			}
		})
	}
}
