// Package workload makes clients of the go-zookeeper library do what applications do, and writes
// down every operation with its times, its outcome and the zxid of its reply, for package check
// to judge.
//
// A Session is one session over one zk.Conn: it reconnects to any server as long as the session
// lives, and when the session is expired it is dead; it never becomes another session in silence,
// as a bare zk.Conn would. Between the library and the socket sits a tap that reads along what the
// library keeps to itself: the zxid in the header of each reply, which connection an answer came
// over, and whether a close was acknowledged.
//
// The workloads:
//
//   - register: set, compare-and-set by version, get, and get after sync, of many keys;
//   - pipeline: sets and gets of few keys by sessions with many requests under way;
//   - append: persistent sequential nodes and nodes of unique names, each created once;
//   - lock: the ephemeral sequential recipe, its holders writing under a fencing token;
//   - ephemeral: sessions that register nodes and then close, or fall silent, or stay;
//   - bank: transfers between accounts in multis, and reads of all accounts at once;
//   - queue: producers of sequential nodes, and consumers who delete the first one;
//   - latch: candidates for leadership, who look whether they lead;
//   - membership: ephemeral again, seen by watchers who look only when an event tells them to;
//   - watch: writers, and a persistent recursive watch over all that they do;
//   - move: sessions that go to another server with requests under way;
//   - config: clients that watch the ensemble's list of servers, and connect to whom it names.
//
// An Operator is no workload: it is the super user, by whom a nemesis changes the members.
//
// Where the library does not go far enough, in bank, watch and move, a workload has raw sessions,
// whose connections and frames it makes itself, through the same tap.
//
// A Recorder can also write all frames of all sessions to a file, for package oracle.
//
// Each drives a few clients at a bounded rate until its context ends, and leaves its sessions as
// its checks want them; Walk then reads what each server holds.
package workload
