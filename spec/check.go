package spec

// check asks what concerns more than one block.
func (l *loader) check() {
	l.defaultAgents()
}

// defaultAgents gives each router without an agent the first one.
func (l *loader) defaultAgents() {
	list := sorted(l.orchestrators, func(o *Orchestrator) string { return o.Kind + "." + o.Name })
	for _, name := range l.routers.names {
		r := l.routers.items[name]
		if r.Agent != "" {
			continue
		}
		if len(list) == 0 || len(list[0].Agents) == 0 {
			l.add(r.Range, "Missing agent", "%s needs the argument agent: there is no orchestrator to take one from.", r.Address())
			continue
		}
		r.Agent = list[0].Agents[0]
	}
}
