// Package zktest runs whole ensembles inside a Go test: real stores on a file system in
// memory that can crash, real sockets on loopback, real clients.
//
//	e := zktest.Start(t, 3)
//	conn := e.Connect(t)                  // a go-zookeeper client of all servers
//	e.Leader(t).Kill(t)                   // as kill -9: what was not synced is gone
//	e.Server(1).Restart(t)
//	e.Partition(e.Server(2), e.Server(3)) // packets between them vanish
//	e.Heal()
//
// Servers are numbered from 1. An ensemble ends with its test; a server that stops by
// itself fails the test.
package zktest
