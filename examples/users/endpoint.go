package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// maxBody bounds a request's body, in bytes.
const maxBody = 64 << 10

// user is a row as the v1 endpoints speak of it.
type user struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

func (u user) key() int64    { return u.ID }
func (u user) fields() []any { return []any{u.Name} }

// person is a row as /v2/user speaks of it.
type person struct {
	ID    int64  `json:"id"`
	First string `json:"first"`
	Last  string `json:"last"`
}

func (p person) key() int64    { return p.ID }
func (p person) fields() []any { return []any{p.First, p.Last} }

// row is a body of one shape: its id, and what is stored of it, in the order
// of the parameters of create and update.
type row interface {
	key() int64
	fields() []any
}

// endpoint answers for one shape of a user.
type endpoint[T row] struct {
	db  *database
	sql queries
}

func (e endpoint[T]) list(w http.ResponseWriter, r *http.Request) {
	limit, err := number(r, "limit", 50)
	if err != nil || limit < 1 || limit > 100 {
		fail(w, http.StatusBadRequest, "limit is a number from 1 to 100")
		return
	}
	var found []T
	err = e.db.read(r.Context(), func(q querier) (err error) {
		found, err = collect[T](r.Context(), q, e.sql.list, limit)
		return err
	})
	if err != nil {
		failBy(w, err)
		return
	}
	reply(w, http.StatusOK, found)
}

func (e endpoint[T]) get(w http.ResponseWriter, r *http.Request) {
	id, err := number(r, "id", 0)
	if err != nil || id < 1 {
		fail(w, http.StatusBadRequest, "id is a number from 1")
		return
	}
	var found T
	err = e.db.read(r.Context(), func(q querier) (err error) {
		found, err = one[T](r.Context(), q, e.sql.get, id)
		return err
	})
	if err != nil {
		failBy(w, err)
		return
	}
	reply(w, http.StatusOK, found)
}

func (e endpoint[T]) post(w http.ResponseWriter, r *http.Request) {
	body, ok := decode[T](w, r)
	if !ok {
		return
	}
	e.write(w, r, http.StatusCreated, e.sql.create, body.fields()...)
}

func (e endpoint[T]) patch(w http.ResponseWriter, r *http.Request) {
	body, ok := decode[T](w, r)
	if !ok {
		return
	}
	e.write(w, r, http.StatusOK, e.sql.update, append([]any{body.key()}, body.fields()...)...)
}

func (e endpoint[T]) write(w http.ResponseWriter, r *http.Request, status int, sql string, args ...any) {
	written, err := one[T](r.Context(), e.db.pool, sql, args...)
	if err != nil {
		failBy(w, err)
		return
	}
	reply(w, status, written)
}

func collect[T row](ctx context.Context, q querier, sql string, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[T])
}

func one[T row](ctx context.Context, q querier, sql string, args ...any) (T, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		var none T
		return none, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[T])
}

func number(r *http.Request, name string, missing int64) (int64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return missing, nil
	}
	return strconv.ParseInt(text, 10, 64)
}

// decode reads a body, or answers why it cannot.
func decode[T row](w http.ResponseWriter, r *http.Request) (T, bool) {
	var body T
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return body, false
	}
	return body, true
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// What cannot be written any more has nobody left to be told.
	_ = json.NewEncoder(w).Encode(body)
}

func fail(w http.ResponseWriter, status int, text string) {
	reply(w, status, map[string]string{"error": text})
}

// failBy answers for an error of the database.
func failBy(w http.ResponseWriter, err error) {
	var refused *pgconn.PgError
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		fail(w, http.StatusNotFound, "no such user")
	case errors.As(err, &refused) && refused.Code[:2] == "22": // data exception
		fail(w, http.StatusBadRequest, refused.Message)
	case errors.As(err, &refused):
		fail(w, http.StatusInternalServerError, refused.Message+" ("+refused.Code+")")
	default:
		fail(w, http.StatusServiceUnavailable, "the database does not answer")
	}
}
