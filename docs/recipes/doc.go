// Package recipes holds the coordination patterns of docs/recipes.md as code: configuration, naming and
// discovery, notification, membership, election, lock, barriers and a queue, on the go-zookeeper client.
//
// It is written to be read and copied. Each type owns one directory of the tree, made by its constructor, and uses
// nothing but a *zk.Conn; no type starts a goroutine. What waits does so until its context ends, and what lost
// its connection tries again until then, so every context needs an end. The nodes are open to
// everybody: a program that shares its ensemble with others replaces the variable open by its own ACL.
//
// Three ideas carry all of it:
//
//   - After a lost connection nobody knows whether the last write was carried out. Every write here can tell: by a
//     name that nobody else uses, or by a mark, an ephemeral node whose version counts the writes of
//     its owner (see mark).
//   - A session can end at any time without its owner's knowledge. What must not happen after that is
//     made part of a multi that fails with the session (Held.Guard), or carries a token that the
//     resource compares (Fence).
//   - A waiter watches the one node whose end concerns it, not the directory.
package recipes
