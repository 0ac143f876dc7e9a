package conn

import "fmt"

// GoneBackError is a server that lacks what it had committed. A standby took over
// that had not received it yet, or an older copy was put in its place.
type GoneBackError struct {
	What string // was committed last, as far as is known
}

func (e *GoneBackError) Error() string {
	return fmt.Sprintf("the database has gone back: %s was committed, and is not there any more; a standby may have taken over that had not received it", e.What)
}

// Hint is how to go on.
func (e *GoneBackError) Hint() string {
	return "look at what the application has lost too; then pleat apply asks again where the run stands"
}
