// Command cluster is one node of a PostgreSQL cluster that replicates by
// streaming, made to be deployed by pleat: see README.md beside it.
package main

import "pleat/examples/cluster/node"

func main() { node.Main() }
