package traffic

// shape is one way in which the service speaks of a user.
type shape struct {
	path   string
	stored func(name string) full // what is kept after that name was written in this shape
	shown  func(full) full        // what this shape tells of it
}

var v1 = shape{
	path:   "/user",
	stored: split,
	shown:  func(f full) full { return full{Name: f.Name} },
}

// v2 cannot tell an empty last from none, so a name that ends with its only
// blank loses it.
var v2 = shape{
	path:   "/v2/user",
	stored: func(name string) full { return join(split(name).First, split(name).Last) },
	shown:  func(f full) full { return full{First: f.First, Last: f.Last} },
}
