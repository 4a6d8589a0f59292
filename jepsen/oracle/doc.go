// Package oracle holds what the clients of an ensemble saw against the log that the ensemble
// committed. The log says what every state was; so every reply, error, Stat, listing and watch event
// of every session can be judged, at the zxid in its header, and not only those of workloads that
// were made for it.
//
// Check replays the log over a tree in memory and goes through all connections side by side, each
// in the order of what its server sent. It looks at each transaction and each frame once; what it
// holds in memory is the log, the records and one tree. It is pure: no clocks, files or servers.
//
// # What is demanded
//
// Each kind of violation is named by the word that begins its line.
//
//   - decision: a transaction is what its request comes to in the state before it: path, number,
//     version, counter, error, and what every operation of a multi comes to. So a refused write was
//     rightly refused. A change of the members comes to the list that its text makes of the one before, under its
//     zxid as version; BadVersion, BadArguments and ReconfigInProgress have their reasons in the log.
//   - ghost, twice, write-order, gap: every transaction of a session comes from a request of that
//     session, once, in the order of sending, and what is lost of a connection is its end.
//   - lost: a reply to a write names the zxid of the transaction that came from it.
//   - real-time: what was sent when somebody had been shown a state comes behind that state.
//   - moved: nothing that was sent over a connection which the session had left is carried out.
//   - log: each transaction follows the one before and can be carried out; the end of a session takes
//     along exactly its ephemeral nodes; a list of servers has voters, and its zxid for a version.
//   - reply: a reply is the tree at the zxid in its header, byte for byte but for the order of lists
//     of children.
//   - zxid: that zxid is one of the log.
//   - back: in a session that zxid never falls, across connections and servers.
//   - reply-order: replies come in the order of the requests.
//   - session: nobody is served at a state in which the session does not exist.
//   - event, event-missing: a connection gets the events that its watches come to, each once, in the
//     order of the log, and before any reply that shows the change; setWatches tells what was missed.
//   - stale, with Options: syncs, or all reads, show what anybody had been shown before.
//   - trace: the records themselves make no sense.
//
// # Why a model of its own
//
// The tree, the rules for requests and the watches are written down here a second time, as plainly
// as possible, and share nothing with packages znode and server but the encodings of package proto.
// Replaying with znode would find a server that answers from the wrong state; it would not find a
// wrong rule, since both sides would have it. The rules are those of spec semantics 1 to 8.
//
// What the log does not tell is counted as unjudged: what depends on the identities of clients other
// than world:anyone, auth, sasl, whoAmI, and the content of /zookeeper/config until it is changed for the first time,
// unless Options tell it. Nor does it tell whether a quorum of new members was there: NewConfigNoQuorum is believed of
// every change that nothing else speaks against, and a change that was made is never held against the number of those who followed. Quotas,
// local sessions and read-only mode are not known here; a run that is to be judged must not use them.
// A setWatches of more than 128 paths is carried out by servers in steps, and is not judged rightly
// when changes come between.
package oracle
