package spec

import "iter"

// Reveal gives the value of the secret that a saved plan refers to by ref. It
// is false when the spec has no such secret.
func (s *Spec) Reveal(ref string) (string, bool) {
	if ref == "" {
		return "", false
	}
	for t := range s.texts() {
		if t.Sensitive() && t.Ref() == ref {
			return t.Reveal(), true
		}
	}
	return "", false
}

// texts are all texts of a spec.
func (s *Spec) texts() iter.Seq[Text] {
	return func(yield func(Text) bool) {
		if s.State != nil && !yield(s.State.URL) {
			return
		}
		for _, d := range s.Databases {
			if !yield(d.URL) {
				return
			}
		}
		for _, o := range s.Orchestrators {
			if !yield(o.Token) || !o.Program.texts(yield) {
				return
			}
		}
		for _, r := range s.Routers {
			if !r.Program.texts(yield) {
				return
			}
		}
		for _, service := range s.Services {
			if !service.texts(yield) {
				return
			}
		}
		for _, n := range s.Notifies {
			if !yield(n.URL) || !mapTexts(n.Headers, yield) {
				return
			}
		}
		for _, g := range s.Gates {
			if !g.Inquiry.texts(yield) {
				return
			}
		}
		for _, a := range s.Analyses {
			if !a.Inquiry.texts(yield) {
				return
			}
		}
	}
}

func (p *Program) texts(yield func(Text) bool) bool {
	return p == nil || mapTexts(p.Settings, yield)
}

func (q *Inquiry) texts(yield func(Text) bool) bool {
	return q == nil || yield(q.URL) && mapTexts(q.Headers, yield)
}

func (s *Service) texts(yield func(Text) bool) bool {
	if !processTexts(s.Processes, yield) {
		return false
	}
	for _, r := range s.Releases {
		if !mapTexts(r.Env, yield) || !processTexts(r.Processes, yield) {
			return false
		}
	}
	return true
}

func processTexts(list []*Process, yield func(Text) bool) bool {
	for _, p := range list {
		if !mapTexts(p.Env, yield) {
			return false
		}
	}
	return true
}

func mapTexts(m map[string]Text, yield func(Text) bool) bool {
	for _, key := range sortedKeys(m) {
		if !yield(m[key]) {
			return false
		}
	}
	return true
}
