// Package quorum says who belongs to an ensemble and how many of them must agree.
//
// An Ensemble is one immutable value: the servers with their roles and
// addresses, the version of the configuration (the zxid of the transaction that
// installed it) and the rule by which acknowledgements are counted. It is built
// once, checked once (NewEnsemble), and then passed around whole: fle counts votes
// with its Verifier, zab counts acknowledgements, quorum/transport dials its
// addresses, and its text is the content of /zookeeper/config. A reconfiguration
// makes a new Ensemble; nothing ever changes an old one.
//
// # Verifiers
//
// Majority counts heads. Hierarchical adds up weights within groups and asks for a
// majority of weight in a majority of groups. Both are total functions: a server
// that they do not know has weight 0 and changes no answer, observers included,
// because every question is first intersected with the voters (spec
// zab-and-election 4, hazards H-49 and H-50). What makes them quorum systems, and what
// the property tests hold: any two sets that satisfy one verifier share a server that
// has weight.
//
// A Tracker collects acknowledgements of one thing under one or several verifiers
// at once: while a reconfiguration is undecided both the old and the new rule must
// be satisfied, for quorums of two different rules need not intersect.
//
// # Text
//
//	server.<sid>=<host>:<quorumPort>:<electionPort>[|...]:<role>[;<clientHost>:<clientPort>]
//	group.<gid>=<sid>[:<sid>]...
//	weight.<sid>=<n>
//	version=<hex>
//
// Ensemble.ConfigData prints this in one canonical form and ParseEnsemble reads it;
// ParseMember reads what follows "server.N=" in the wider form that operators
// write. Host names stay names: nothing here resolves them, so two members are compared
// by id and name and never by address (spec operations 1.5).
//
// The package is pure and its values may be shared between goroutines, except Tracker,
// which has one owner.
package quorum
