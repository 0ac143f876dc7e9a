package host

// Named is named.
var Named = named
