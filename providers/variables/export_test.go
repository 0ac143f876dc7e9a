package variables

// Named is named.
var Named = named

// Viewed is viewed.
var Viewed = viewed
