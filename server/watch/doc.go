// Package watch keeps the one-shot watches of a server's connections.
//
// A Registry knows, per path, who watches it, and, per connection, what it watches. Each
// connection has two tables at each path, data and child (spec semantics 8.1); a mark
// in a table is set by a read and removed by the first trigger that hits it, whether or
// not the event is delivered in the end. What a change triggers is said by znode.Trigger;
// the registry answers with the connections that are reached, and leaves to its caller
// the ACL filter, the frame and the order of events.
//
// Watches are many and mostly idle, so they are kept small. A path is stored once, with
// a number. One watch is one 28-byte record in a slab, whatever the tables it is in, and
// one entry of a map that finds it again; records of one path, and records of one
// connection, are doubly linked through indices, so that firing, removing and the
// end of a connection cost time in proportion to what they remove. There is no heap
// object per watch. Counts are kept, not counted.
//
// A Registry has a lock of its own: readers of the tree register side by side.
// It is the tree's lock, held by its callers, that makes "read and watch" one step
// against the changes.
package watch
