// Package executor carries a plan out, or stops with a reason. It decides
// nothing: it takes the lease, reads again, keeps the plan's order, records
// every step before and after, asks providers, and goes back to the last
// checkpoint, by the undo that the plan holds, at the first thing that fails.
package executor
