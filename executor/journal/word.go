package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pleat/migrations/conn"
)

// Word is what a person says to a run that goes on.
type Word struct {
	Seq    int64
	Step   string // "" says it to the run
	Word   string // Approve, Decline or Abort
	Who    string // as the person's system says
	Role   string // as the database says; Say does not ask for it
	Reason string
	At     time.Time // the server's clock; Say does not ask for it
}

// The words.
const (
	Approve = "approve"
	Decline = "decline"
	Abort   = "abort"
)

// String is who said it: "alice (role deploy): looks good".
func (w Word) String() string {
	text := w.Who
	if w.Role != w.Who {
		text += " (role " + w.Role + ")"
	}
	if w.Reason != "" {
		text += ": " + w.Reason
	}
	return text
}

// ErrNotOpen is a run that has ended, or never began.
var ErrNotOpen = errors.New("the run is not open")

// Say records a word for an open run, and returns once it is durable. It alone
// needs no lease: the holder is who listens.
func (j *Journal) Say(ctx context.Context, run string, w Word) error {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	if err := j.reconnect(ctx); err != nil {
		return err
	}
	tag, err := j.conn.Exec(ctx, `
		insert into pleat.word (run, step, word, who, reason)
		select id, $3, $4, $5, $6 from pleat.run where id = $1 and environment = $2 and finished is null`,
		run, j.environment, w.Step, w.Word, w.Who, w.Reason)
	if err == nil && tag.RowsAffected() == 0 {
		err = fmt.Errorf("%s: %w", run, ErrNotOpen)
	}
	if err != nil {
		return fmt.Errorf("telling the run: %w", err)
	}
	return nil
}

// Words are what was said to a run after that Seq, in order.
func (j *Journal) Words(ctx context.Context, run string, after int64) (words []Word, err error) {
	err = j.read(ctx, "reading what was said to the run", func(tx conn.Tx) error {
		rows, err := tx.Query(ctx, `
			select seq, step, word, who, role, reason, at from pleat.word where run = $1 and seq > $2 order by seq`, run, after)
		if err != nil {
			return err
		}
		words, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Word])
		return err
	})
	return words, err
}

// Role is whom the state database takes the caller for.
func (j *Journal) Role(ctx context.Context) (role string, err error) {
	err = j.read(ctx, "asking who this is", func(tx conn.Tx) error {
		return tx.QueryRow(ctx, "select session_user").Scan(&role)
	})
	return role, err
}
