package spec

import "slices"

// clustered finds the replicated process of a service that is rolled out
// primary_last.
func (l *loader) clustered(n *node, s *Service) {
	if s.Strategy.Cluster == nil {
		return
	}
	names := processNames(s.Processes)
	p := mainProcess(s.Processes)
	if wanted := s.Strategy.Cluster.Process; wanted != "" {
		i := slices.Index(names, wanted)
		if i < 0 {
			l.add(n.at("strategy"), "Unknown process", "%s is for a process %s, and %s has none.%s", s.Strategy.Address(), quote(wanted), s.Address(), existing(names))
			return
		}
		p = s.Processes[i]
	}
	switch {
	case p == nil:
		l.add(n.at("strategy"), "Whose cluster", "%s needs the argument process in primary_last, because several processes of %s could be meant.%s", s.Strategy.Address(), s.Address(), existing(names))
	case p.PerHost:
		l.add(p.Range, "Cluster on every host", "With primary_last a process has count instances, and not as many on every host.")
	case p.Scaling != nil:
		l.add(p.Scaling.Range, "Cluster that is scaled", "With primary_last a process has count instances: how many copies of the data there are is for the spec to say.")
	}
	s.Clustered = p
}
