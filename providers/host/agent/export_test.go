package agent

// Lock is lock.
var Lock = lock

// Notify is notify, for tests.
var Notify = notify
