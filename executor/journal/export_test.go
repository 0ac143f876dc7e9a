package journal

import "time"

// SetPatience is for tests that do not want to wait for a server that will not
// come back.
func (j *Journal) SetPatience(d time.Duration) { j.patience = d }
