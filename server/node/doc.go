// Package node joins the parts to one running server: it opens the two stores and
// brings them to the same point, and connects the peer, which orders transactions, with the
// server, which answers clients.
//
//	n, err := node.Start(node.Config{Conf: cfg, ...})
//	err = n.Wait()   // until Stop, or until the server cannot go on
//	n.Stop()
//
// On disk, below the configured directories:
//
//	<dataDir>/myid                 the server's id, as ever
//	<dataDir>/zabkeeper/tree       the znode tree (package znode/store)
//	<dataLogDir>/zabkeeper/log     the transaction log (package zab/txnlog)
//
// Opening is recovery: a snapshot that was being installed is completed or forgotten, the
// log is checked to reach down to what the tree has applied, and what is known to be
// committed is applied. What is logged beyond that waits for a leader to say whether it is
// committed.
//
// Standalone mode is the same code with an ensemble of one and no transport.
//
// Where the ensemble changes, the node follows: members.go answers the preparer of a reconfiguration,
// dynamic.go keeps the files that are derived from the log, and moves the client port.
//
// A store that fails ends the server: Config.Fatal is told first, and Wait returns
// the error. ExitCode says with which status a process should then exit.
package node
