package traffic

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// full is one user's name in both shapes. What is empty is left out of a
// request, which means the same.
type full struct {
	Name  string `json:"name,omitempty"`
	First string `json:"first,omitempty"`
	Last  string `json:"last,omitempty"`
}

// split is the name as the service takes it apart: the first blank splits.
func split(name string) full {
	first, last, _ := strings.Cut(name, " ")
	return full{name, first, last}
}

// join is the parts as the service puts them together; an empty last is none.
func join(first, last string) full {
	if last == "" {
		return full{first, first, last}
	}
	return full{first + " " + last, first, last}
}

// hard are names that were lost somewhere once.
var hard = []string{"Mary Ann Smith", "Prince", "A  B", "", " x", "x ", " ", "two\nlines \n here", "Zoë van der Berg-O'Neil", "李 小龍"}

// fresh is a name to write: one of the hard ones now and then, else one that
// was never written before, so that an old value is seen to be one.
func fresh(random *rand.Rand, client, n int) string {
	name := hard[random.IntN(len(hard))]
	if random.IntN(4) == 0 {
		return name
	}
	return fmt.Sprintf("%s %d-%d", name, client, n)
}
