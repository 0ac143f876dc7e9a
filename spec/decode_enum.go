package spec

import "github.com/hashicorp/hcl/v2"

func createEnum(n *node) *CreateEnum {
	e := &CreateEnum{Enum: n.tableLabel(0), Values: n.strs("values"), Range: n.rng()}
	seen := map[string]bool{}
	for i, v := range e.Values {
		n.enumValue(n.atElement("values", i), v)
		if seen[v] {
			n.problems.add(n.atElement("values", i), "Value twice", "%s has the value %s twice.", n.title(), quote(v))
		}
		seen[v] = true
	}
	if e.Values != nil && len(e.Values) == 0 {
		n.problems.add(n.at("values"), "No values", "%s needs at least one value.", n.title())
	}
	return e
}

func addEnumValue(n *node) *AddEnumValue {
	v := &AddEnumValue{Enum: n.tableLabel(0), Value: n.labels[1], Before: n.str("before"), After: n.str("after"), Range: n.rng()}
	n.enumValue(n.labelRange(1), v.Value)
	if n.has("before") && n.has("after") {
		n.problems.add(n.at("after"), "Two places", "A value stands before another one or after one. Write either.")
	}
	if v.Before == v.Value || v.After == v.Value {
		n.problems.add(n.labelRange(1), "Value beside itself", "The value %s cannot stand before or after itself.", quote(v.Value))
	}
	return v
}

func renameEnumValue(n *node) *RenameEnumValue {
	v := &RenameEnumValue{Enum: n.tableLabel(0), Value: n.labels[1], To: n.str("to"), Range: n.rng()}
	if n.enumValue(n.at("to"), v.To) && v.To == v.Value {
		n.problems.add(n.at("to"), "Same name", "The value is called %s already.", quote(v.To))
	}
	return v
}

func dropEnum(n *node) *DropEnum { return &DropEnum{Enum: n.tableLabel(0), Range: n.rng()} }

// enumValue reports what cannot be a value: those are as long as names can be.
func (n *node) enumValue(rng hcl.Range, value string) bool {
	reason := identifierProblem(value)
	if len(value) > maxIdentifier {
		reason = "it has more than 63 bytes, and Postgres refuses that"
	}
	if reason == "" {
		return true
	}
	n.problems.add(rng, "Invalid value", "%s cannot be a value of an enum: %s.", quote(value), reason)
	return false
}
