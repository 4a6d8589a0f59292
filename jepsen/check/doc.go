// Package check judges what a run of real servers left behind: the history of every operation
// that a client started, and the trees that each server holds in the end.
//
// What is promised, and so what is demanded, is the consistency contract of ZooKeeper (spec
// semantics 14, invariants I15 and I20):
//
//   - writes are linearizable, each at its zxid: Register holds every key against a register with
//     version numbers (porcupine), WriteOrder holds the zxids of all writes together against real
//     time, Reads holds each value and Stat against the write that made it;
//   - a read after sync is linearizable too; a plain read may be stale, but within a session
//     nothing ever goes back (Sessions);
//   - an acknowledged create is there exactly once, on every server, for good (Creates); what was
//     refused is nowhere; the trees are equal with all their Stats (Replicas);
//   - a lock made of ephemeral sequential nodes excludes, seen through the fencing token that
//     the zxid of its node is (Locks);
//   - ephemeral nodes are there as long as their session and not longer (Ephemerals).
//
// An operation whose answer was lost is neither done nor not done: it may take effect at any time
// after its call, or never (hazard H-72). Its outcome is Info and every check treats it so.
//
// The package is a set of functions from values to violations: no clocks, no servers, no clients.
// Package workload produces its input; a violation carries the operations that prove it.
package check
