// Package differ compares two servers by what their clients can see.
//
// A Script is a sequence of steps of a few clients: connections made, renewed and dropped, requests
// of every kind, good and bad, single and pipelined. A Pair carries a script out on two servers in
// lock step: each step is done on both, every reply and event that it causes is collected on all
// connections (a ping behind it brings whatever was sent before), and the two collections must be
// the same. When all sessions have ended the whole trees must be the same, too.
//
// What two servers choose for themselves is replaced by names (type names): a zxid by its distance
// from the state before the script, so that even the number of transactions is compared, a session
// id by the order of its creation, a time by whether it belongs to its zxid. Sets without an order
// are sorted. What ZabKeeper does differently on purpose is a Rule, which names its reason; any
// other Difference is a defect. Shrink makes the script of one short.
//
// A side may be several servers of one ensemble, over which the clients are spread. Nothing depends on
// time: servers are made current, and the ends of sessions waited for, outside the transcript.
//
// Generate makes scripts from seeds. A Golden is a script with a transcript of the reference; those
// in testdata are checked against ZabKeeper without it.
package differ
