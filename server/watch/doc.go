// Package watch keeps the watches of a server's connections.
//
// A Registry knows, per path, who watches it and how, and, per connection, what it watches
// (spec semantics 8.1). There are one-shot watches in two tables, data and child, persistent
// ones in both, and recursive ones that reach down the tree. What a change triggers is
// said by znode.Trigger; the registry answers with the connections that are
// reached, and removes one-shot watches that were hit, whether or not an event is delivered
// in the end. It leaves to its caller the ACL filter, the frame and the order of events.
//
// # Three ways to fire
//
// Fire is for the usual case, a handful of watchers: it finds them and uses their
// one-shot watches up in one step. For a crowd there is the same in pieces: Walk and Step
// pass everybody who is reached, a few at a time, while others come and go, and Hit does
// for one connection what Fire does for all. Who was hit already when the walk comes by
// is not found again, unless it has watched anew; that is the caller's to know.
//
// A trigger that nobody can hear costs one atomic load when there are no watches at all,
// one lookup when there are no recursive ones, and else one more per ancestor. Each kind of
// watch has its own list at a path, so that a crowd of one kind does not slow down the
// others.
//
// # Lists
//
// Operators want to see who watches what. Paths and Members list the two sides of the data
// table, WalkPath and Step who watches one path, WalkMember and StepPaths what one
// connection watches: in pages, none of which keeps the lock for long. What was there from the first
// page to the last is in the list.
//
// # Memory
//
// Watches are many and mostly idle, so they are kept small. A watch is one record of 28
// bytes, and 4 bytes of a hash table; a path is a record of 32 bytes with its
// name, stored once, and 4 bytes likewise. Records of one path and kind, and records of one
// connection, are doubly linked through indices, so that firing, removing and the
// end of a connection cost time in proportion to what they remove. There is no heap
// object per watch. Records come in groups of 64 and hash tables grow by single buckets, so that
// no watch waits for the moving of a million others; Leave lets others in as it goes.
// Memory is used again, and a group is given back with its last record: what stays of many
// watches holds at most a group each, 1.8 KB of records and 2 KB of paths. Counts are kept, not
// counted.
//
// A Registry has a lock of its own: readers of the tree register side by side.
// It is the tree's lock, held by its callers, that makes "read and watch" one step
// against the changes.
package watch
