package router

import (
	"context"
	"crypto/rand"
	"hash/fnv"
	"net/http"

	"pleat/planner"
)

// remembered is how long a browser keeps who it is, in seconds.
const remembered = 30 * 24 * 60 * 60

// visitor is the key in a request's context under which a fresh name is.
type visitor struct{}

// known gives those a name who have none, where it matters who comes back.
func (r *route) known(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		s := r.balancer.now.Load().sticky
		if s == nil || s.Cookie == "" {
			next.ServeHTTP(w, req)
			return
		}
		if _, err := req.Cookie(s.Cookie); err != nil {
			name := rand.Text()
			http.SetCookie(w, &http.Cookie{Name: s.Cookie, Value: name, Path: "/", MaxAge: remembered, HttpOnly: true, SameSite: http.SameSiteLaxMode})
			req = req.WithContext(context.WithValue(req.Context(), visitor{}, name))
		}
		next.ServeHTTP(w, req)
	})
}

// who is what tells one who comes back; "" where nothing does.
func who(s *planner.Sticky, req *http.Request) string {
	if s == nil {
		return ""
	}
	if s.Header != "" {
		return req.Header.Get(s.Header)
	}
	if c, err := req.Cookie(s.Cookie); err == nil {
		return c.Value
	}
	name, _ := req.Context().Value(visitor{}).(string)
	return name
}

// place is where in the shares one belongs who comes back: from 0 to 99, the
// same for the same name.
func place(name string) int {
	h := fnv.New64a()
	h.Write([]byte(name))
	return int(h.Sum64() % 100)
}

// fits tells whether a rule is for a request.
func fits(r planner.Rule, req *http.Request) bool {
	if r.Header != "" {
		values := req.Header.Values(r.Header)
		return len(values) > 0 && (r.Value == "" || values[0] == r.Value)
	}
	c, err := req.Cookie(r.Cookie)
	return err == nil && (r.Value == "" || c.Value == r.Value)
}
