package conn

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Statement is one statement of SQL with its arguments as text.
type Statement struct {
	SQL  string
	Args []string
}

// Pipeline has the server carry out statements one after the other, without
// waiting for the client in between. Each is a statement of its own: it is read
// once those before it are through, and has its own statement_timeout. done is
// how many were carried out; where that is not all of them, err is of the next
// one, and the server has left the rest.
func Pipeline(ctx context.Context, c *pgx.Conn, statements []Statement) (done int, err error) {
	p := c.PgConn().StartPipeline(ctx)
	for _, s := range statements {
		args := make([][]byte, len(s.Args))
		for i, a := range s.Args {
			args[i] = []byte(a)
		}
		p.SendQueryParams(s.SQL, args, nil, nil, nil)
	}
	err = p.Sync()
	for err == nil && done < len(statements) {
		if err = result(p); err == nil {
			done++
		}
	}
	if closing := p.Close(); err == nil {
		err = closing
	}
	return done, err
}

// result reads what became of the next statement.
func result(p *pgconn.Pipeline) error {
	results, err := p.GetResults()
	if err != nil {
		return err
	}
	reader, ok := results.(*pgconn.ResultReader)
	if !ok {
		return fmt.Errorf("unexpected answer %T", results)
	}
	_, err = reader.Close()
	return err
}
