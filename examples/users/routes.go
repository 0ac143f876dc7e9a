package main

import (
	"context"
	"net/http"
	"time"
)

// routes is what the release answers to.
func routes(r release, db *database) http.Handler {
	mux := http.NewServeMux()
	v1 := endpoint[user]{db: db, sql: r.v1}
	mux.HandleFunc("GET /users", v1.list)
	mux.HandleFunc("GET /user", v1.get)
	mux.HandleFunc("POST /user", v1.post)
	mux.HandleFunc("PATCH /user", v1.patch)
	mux.HandleFunc("GET /healthz", health(r, db))
	if r.v2 == nil {
		return mux
	}
	v2 := endpoint[person]{db: db, sql: *r.v2}
	mux.HandleFunc("GET /v2/user", v2.get)
	mux.HandleFunc("POST /v2/user", v2.post)
	mux.HandleFunc("PATCH /v2/user", v2.patch)
	return mux
}

// health answers 200 only while the database answers.
func health(r release, db *database) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		if r.unhealthy {
			fail(w, http.StatusServiceUnavailable, "warming up")
			return
		}
		ctx, cancel := context.WithTimeout(req.Context(), time.Second)
		defer cancel()
		if err := db.pool.Ping(ctx); err != nil {
			fail(w, http.StatusServiceUnavailable, "the database does not answer")
			return
		}
		reply(w, http.StatusOK, map[string]string{"status": "ok"})
	}
}

// labelled names, in each answer, the release and the instance that gave it.
// What the orchestrator says it started goes before what was built in.
func labelled(h http.Handler, version string, getenv func(string) string) http.Handler {
	if started := getenv("PLEAT_RELEASE"); started != "" {
		version = started
	}
	instance := getenv("PLEAT_INSTANCE")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Release", version)
		w.Header().Set("X-Instance", instance)
		h.ServeHTTP(w, r)
	})
}
