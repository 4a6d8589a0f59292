// Package znode is the tree: what its nodes look like, what a request may do to it, and what a
// transaction does to it. It is pure. It keeps no tree of its own: it works on any View, which
// package znode/store implements over Pebble, and says what to change.
//
// # The life of a write
//
// On the leader a Preparer makes a transaction of each request. It sees the tree of the view
// plus everything proposed and not yet applied, makes the checks in ZooKeeper's order, and
// writes down the outcome in absolute terms: final path, version, counter, time. Nothing is
// left to decide:
//
//	p := znode.NewPreparer(view, opts)
//	txn := p.Prepare(&request, zxid, nowMs)   // always a transaction, if only of an error
//	...                                       // encoded, logged, agreed upon
//	p.Applied(zxid)                           // the view has caught up
//
// On every server the committed transactions go, in batches, through a Changes, an overlay
// over the view. Each one yields a Result: the answer to the request and the watches to
// fire, as Triggers in their order. The batch is then handed to the store, which
// writes it in one piece:
//
//	c := znode.NewChanges(view)
//	for each transaction { result := c.Apply(&txn) }
//	store.Install(c, point)                   // reads c.Nodes, c.Sessions, c.EphemeralChanges
//	c.Reset(view)
//
// Apply cannot fail: whatever can be decoded can be applied, if only as "nothing
// changes". Same log, same tree, whatever the batches; NodeDigest proves it.
//
// # The life of a read
//
// Exists, GetData, GetChildren and GetACL answer from a View, for the identities of a
// connection.
//
// # Nodes
//
// A published Node is immutable. Apply makes a new one for the first change of a batch at a
// path, and goes on changing that one until it is published. A node keeps no list of
// its children: the View's order of keys has it. Its creation counter, which numbers sequential
// children, is the C of spec semantics 2; clients see 2C - numChildren as cversion. The usual
// ACL, world:anyone:all, is kept as nil.
//
// # Containers and nodes with a time to live
//
// A Node has its kind in its owner word. Whoever leads looks for nodes that are Expired and
// has each one judged again by PrepareExpiry, against everything proposed; Apply deletes them like
// any other node. Clients are shown no owner.
//
// # Quotas
//
// Apply keeps the usage of quotas (spec semantics 11.4) in their zookeeper_stats nodes, as a
// part of the transaction that changes it. So it is the same on every server, is in
// snapshots, and needs no counting at a start. Where quotas are enforced the Preparer holds
// requests against it, as far as it is applied.
//
// # Divergences from ZooKeeper, on purpose
//
//   - A creation counter that has reached its end sticks there, but pzxid moves on.
//   - createTTL without a TTL flag is refused instead of stopping the server. Inside a
//     multi it is a plain creation, as in ZooKeeper.
//   - What deletes containers and nodes with a time to live deletes nothing else: no persistent
//     node that has taken the place of one, and no node that something pending has touched.
//   - The mark of a node with a time to live is one whatever ExtendedTypes says; in ZooKeeper it
//     becomes an ephemeral of a strange session when the setting is switched off.
//   - An ephemeral is refused whose session the tree does not know, and a session whose
//     id is in use or has a meaning of its own as an owner word.
//   - A transaction that would be longer than MaxTxn is refused with CodeMarshallingError; a
//     closeSession instead lists fewer nodes.
//   - Deletions by a pending closeSession count at once: the parent can be deleted behind it.
//   - Applying an impossible transaction (out of a damaged or foreign log) never tears the
//     tree: no orphans, no children of ephemerals.
//   - Paths have at most MaxDepth names.
//   - The usage of a quota is counted from what is there, and never from scratch but when its
//     stats node or its limits are created. ZooKeeper recounts at every start instead, so
//     that there a usage which a client has overwritten comes right by a restart; here,
//     by deleting and creating the stats node.
//   - The root, /zookeeper, and /zookeeper/quota and what is below it have no quotas: nodes with
//     their names are ordinary ones.
//   - Limits and usages that cannot be parsed, or are longer than a kilobyte, limit nothing and
//     are left alone.
//
// Left to others: sessions' lives, watch tables, who is connected as whom, and
// everything about time, disks and sockets. The rules are those of spec semantics 1 to 9;
// client-protocol 6 and 8 have the numbers and records.
package znode
