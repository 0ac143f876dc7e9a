package conn

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Tx is what a transaction's body may do: everything but end it.
type Tx interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Transaction is one transaction on a dedicated connection.
type Transaction struct {
	Conn *pgx.Conn
	// Sent is called after COMMIT was sent and before its answer is read; nil
	// is nobody.
	Sent func()
}

// InTransaction runs body in one transaction on c and commits it. Classify
// tells what an error means for the change: one of body, or of the server,
// that it was rolled back; any other after COMMIT was sent wraps
// ErrOutcomeUnknown. Cancelling ctx is an error like any other, also in the
// middle of COMMIT.
func InTransaction(ctx context.Context, c *pgx.Conn, body func(tx Tx) error) error {
	return Transaction{Conn: c}.Run(ctx, body)
}

// Run is InTransaction with what t says.
func (t Transaction) Run(ctx context.Context, body func(tx Tx) error) error {
	if _, err := t.Conn.Exec(ctx, "begin"); err != nil {
		return &failure{NotSent, fmt.Errorf("beginning a transaction: %w", err)}
	}
	if err := body(t.Conn); err != nil {
		return &failure{RolledBack, errors.Join(err, rollBack(ctx, t.Conn))}
	}
	if err := ctx.Err(); err != nil {
		return &failure{RolledBack, errors.Join(err, rollBack(ctx, t.Conn))}
	}
	return t.commit(ctx)
}

// rollBack ends the transaction even when ctx was cancelled. A session that
// is gone took its transaction with it.
func rollBack(ctx context.Context, c *pgx.Conn) error {
	if c.IsClosed() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	if _, err := c.Exec(ctx, "rollback"); err != nil {
		return errors.Join(fmt.Errorf("rolling back: %w", err), Close(ctx, c))
	}
	return nil
}

// commit sends COMMIT in the extended protocol. In the simple one the driver
// loses the error of a cut connection and calls it safe to retry although the
// row is there (pgx 5.9 to 5.12).
func (t Transaction) commit(ctx context.Context) error {
	if t.Conn.IsClosed() {
		return &failure{RolledBack, errors.New("the connection was lost before commit")}
	}
	tag, err := t.sendCommit(ctx)
	if err == nil && tag.String() == "COMMIT" {
		return nil
	}
	if err == nil {
		// The server answers COMMIT with ROLLBACK when a statement had failed.
		return &failure{RolledBack, fmt.Errorf("the server answered commit with %s", tag)}
	}
	if Classify(err) == RolledBack {
		return fmt.Errorf("committing: %w", err)
	}
	return fmt.Errorf("committing: %w: %w", ErrOutcomeUnknown, err)
}

func (t Transaction) sendCommit(ctx context.Context) (pgconn.CommandTag, error) {
	p := t.Conn.PgConn().StartPipeline(ctx)
	p.SendQueryParams("commit", nil, nil, nil, nil)
	if err := p.Sync(); err != nil {
		return pgconn.CommandTag{}, cmp.Or(err, p.Close())
	}
	if t.Sent != nil {
		t.Sent()
	}
	results, err := p.GetResults()
	if err != nil {
		return pgconn.CommandTag{}, cmp.Or(err, p.Close())
	}
	reader, ok := results.(*pgconn.ResultReader)
	if !ok {
		return pgconn.CommandTag{}, errors.Join(fmt.Errorf("unexpected answer %T", results), p.Close())
	}
	tag, err := reader.Close()
	return tag, cmp.Or(err, p.Close())
}

// RunBatch is Run for statements that are known beforehand: begin and all of
// them go to the server at once, and read is given their results, in order,
// without that of begin. An error of any statement, or of read, rolls back.
func (t Transaction) RunBatch(ctx context.Context, statements *pgx.Batch, read func(results pgx.BatchResults) error) error {
	whole := &pgx.Batch{}
	whole.Queue("begin")
	whole.QueuedQueries = append(whole.QueuedQueries, statements.QueuedQueries...)
	results := t.Conn.SendBatch(ctx, whole)
	_, err := results.Exec()
	if err == nil {
		err = read(results)
	}
	if err := cmp.Or(err, results.Close()); err != nil {
		return &failure{RolledBack, errors.Join(err, rollBack(ctx, t.Conn))}
	}
	if err := ctx.Err(); err != nil {
		return &failure{RolledBack, errors.Join(err, rollBack(ctx, t.Conn))}
	}
	return t.commit(ctx)
}
