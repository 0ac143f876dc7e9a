// Package exec is the orchestrator and the router that are a program of the
// user's. It speaks JSON with it, one object a line, on the program's standard
// input and output; docs/exec.md is the reference, made from the types here.
//
// It owns the conversation and believes nothing that was not said in it: done is
// what the program answered in words to the request that is under way. A program
// that ends, hangs, writes what is no answer, answers twice or late, or without
// end, is an error that names it and quotes what it wrote to its standard error.
// What such a call has done is unknown where it could have done something.
//
// One process has one request at a time, so that a program may read a line, do
// what it says and write a line. Where several requests are under way there are
// several processes. What has to be remembered is therefore not in the program,
// but in what is behind it.
package exec
