package main

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"pleat/planner"
	"pleat/spec"
)

// strangers are the services that run and are not in the spec, by name.
func strangers(sp *spec.Spec, st *planner.State) []string {
	found := map[string]bool{}
	for _, o := range st.Orchestrators {
		for _, i := range o.Instances {
			found[i.Service] = true
		}
	}
	for _, s := range sp.Services {
		delete(found, s.Name)
	}
	return slices.Sorted(maps.Keys(found))
}

// releaseLines are the live releases of a service: "2.0.2  web 3 up".
func releaseLines(s *spec.Service, st *planner.State) []string {
	counts := map[string]map[string]int{} // release → "web up" → n
	for _, o := range st.Orchestrators {
		for _, i := range o.Instances {
			if i.Service != s.Name {
				continue
			}
			if counts[i.Release] == nil {
				counts[i.Release] = map[string]int{}
			}
			counts[i.Release][i.Process+" "+string(i.State)]++
		}
	}
	if len(counts) == 0 {
		return []string{nothingRuns}
	}
	requests := requestsByRelease(s, slices.Sorted(maps.Keys(counts)), st)
	var out []string
	for _, release := range slices.Sorted(maps.Keys(counts)) {
		var parts []string
		for state, n := range counts[release] {
			process, is, _ := strings.Cut(state, " ")
			parts = append(parts, fmt.Sprintf("%s %d %s", process, n, is))
		}
		sort.Strings(parts)
		if text := requests[release]; text != "" {
			parts = append(parts, text)
		}
		if text := keptText(s, release, st); text != "" && requests[release] == noRequests {
			parts = append(parts, text)
		}
		out = append(out, release+"  "+strings.Join(parts, ", "))
	}
	return out
}

// requestsByRelease says what part of the requests of a service's router each release
// gets; nothing where one release has them all and there is no other.
func requestsByRelease(s *spec.Service, releases []string, st *planner.State) map[string]string {
	out := map[string]string{}
	if s.Router == nil {
		return out
	}
	router := st.Routers[string(s.Router.Address())]
	if router == nil {
		return out
	}
	serving, all := map[string]int{}, 0
	for _, b := range router.Backends {
		if b.Service == s.Name && !b.Draining && router.Reaches(b.Release) {
			serving[b.Release]++
			all++
		}
	}
	for _, release := range releases {
		rule, text := ruleOf(router, release), ""
		share, shared := router.Share(release)
		switch n := serving[release]; {
		case n == 0 && rule != "":
			text, rule = "requests with "+rule, ""
		case n == 0:
			text = noRequests
		case n == all && len(releases) > 1:
			text = "all requests"
		case n < all && shared:
			text = fmt.Sprintf("%d%% of the requests", share)
		case n < all:
			text = fmt.Sprintf("%d of %s that get requests", n, count(all, "instance"))
		}
		if rule != "" {
			text = strings.TrimPrefix(text+", and those with "+rule, ", and ")
		}
		out[release] = text
	}
	return out
}

const nothingRuns, noRequests = "nothing runs", "no requests"

// ruleOf is what requests carry that get to a release by a rule; "" where none do.
func ruleOf(router *planner.Router, release string) string {
	var texts []string
	for _, r := range router.Rules {
		if r.Release == release {
			texts = append(texts, r.String())
		}
	}
	return strings.Join(texts, " or ")
}

// keptText says until when a release is kept for a way back; "" where it is not.
func keptText(s *spec.Service, release string, st *planner.State) string {
	for _, k := range st.Journal.Kept {
		if k.Service != s.Name || k.Version != release || s.Strategy == nil || s.Strategy.KeepPrevious == 0 {
			continue
		}
		end := k.Since.Add(s.Strategy.KeepPrevious).UTC()
		if end.Before(st.Now) {
			return "kept until the next apply"
		}
		return "kept until " + end.Format(time.RFC3339)
	}
	return ""
}

// restartLines are the instances of a service that end again and again, with how
// they did last.
func restartLines(service string, st *planner.State) []string {
	var out []string
	for _, o := range st.Orchestrators {
		for _, i := range o.Instances {
			if i.Service != service || i.Restarts == 0 {
				continue
			}
			line := fmt.Sprintf("%s %s on %s: %s", i.Release, i.Name, i.Host, count(i.Restarts, "restart"))
			if i.Restarts > 1 {
				line = "crash loop: " + line
			}
			if i.Ended != "" {
				line += ", last: " + firstLine(i.Ended)
			}
			out = append(out, line)
		}
	}
	sort.Strings(out)
	return out
}
