package agent

// Lock is lock.
var Lock = lock
