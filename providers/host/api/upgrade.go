package api

// Upgrade asks an agent to hand over to another version of itself.
type Upgrade struct {
	SHA256 string `json:"sha256"` // an artifact that it has
}

// Upgraded is what came of it.
type Upgraded struct {
	From int `json:"from"` // process ids; the same where it ran that version already
	To   int `json:"to"`
}
