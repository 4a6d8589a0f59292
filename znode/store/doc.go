// Package store keeps the znode tree on disk: node records, the ephemerals of each
// session, the sessions, and the point of the history up to which all of that is applied.
// It lives on Pebble with Pebble's own log switched off, because the transaction log
// (package zab/txnlog) is the redo log of the tree.
//
// # What it promises
//
//   - Install makes one batch of committed transactions visible as a whole, together
//     with the applied point, the digest and the counters (hazards H-89, H-90). After a
//     crash the tree is the state after some prefix of the installed batches, and Applied
//     says exactly which one; the owner replays the log from there. Only committed
//     transactions are ever installed (hazard H-88): nothing here can be undone.
//   - Durable says which point a crash right now would leave behind. The log must be kept
//     above it.
//   - A Snapshot is the tree at exactly one point (hazard H-33), streamed in checksummed
//     chunks while installs go on. A Staging takes such a stream into table files beside
//     the live tree and verifies every byte of it; Replace swaps the whole live tree,
//     applied point included, for the staged one in one atomic and durable step
//     (hazards H-07, H-08, H-92). A crash leaves the old tree or the new one.
//   - A fault of the disk, a failed checksum or a record that does not decode is
//     reported once through Config.Fatal, which must end the process. No wrong answer is
//     given and nothing is retried (hazard H-94).
//
// # Who may call what
//
// Reads (the methods of znode.View, Warm, Marked, Below, Snapshot, Durable, Scan and the counters) are
// safe at any time from any goroutine. One owner, the applier, calls Install and Replace;
// whoever needs several reads of one state holds a lock against it. A read that runs
// beside an Install sees, for each node, the state before or after it, and never leaves
// an outdated node in the cache.
//
// # Keys
//
// Every key starts with one byte that names its column; columns are ordered so that the
// record that makes a staged tree valid comes last.
//
//	column      key                                           value
//	marks       00 | path                                     empty
//	ephemerals  01 | owner, 8 bytes BE | path                 empty
//	nodes       02 | depth, 2 bytes BE | path                 node record
//	sessions    03 | session id, 8 bytes BE                   timeout in ms, 4 bytes BE
//	meta        04 | 'a'                                      applied record
//	            04 | 'o'                                      origin record
//
// There is a mark for each container and each node with a time to live, so that the leader finds
// those without reading the tree.
//
// The depth of a path is its number of slashes, and 0 for the root. The children of /a/b
// are the keys of depth 3 that start with "/a/b/", and no other key of that depth does: they
// are one run, in the order of their names, whatever bytes the names hold, and neither
// grandchildren nor a sibling such as /a/b-c is in between.
//
// # Records
//
// A node record; integers are varints, signed ones in zigzag form:
//
//	version 1 | flags | czxid | mzxid-czxid | pzxid-czxid | ctime | mtime-ctime |
//	version | aversion | created | children | [owner, 8 bytes BE] |
//	[acl: count, then per entry perms, scheme, id] | data to the end
//
//	flags: 1 data is not null, 2 acl follows, 4 owner follows
//
// The applied record, all fields after the first 8 bytes BE:
//
//	version 2 | zxid | hash | digest | nodes | ephemerals | data size
//
// Version 1 was written before there were marks. A tree that has it, found at a start or come as
// a stream, is read once, given its marks and version 2, which the program of that time
// refuses to open.
//
// The origin record, written by Replace alone, is a generation, 8 bytes BE, and the
// name of the staging that the tree came from. It makes ReplaceFrom restartable.
//
// # Chunks of a snapshot stream
//
//	length of body, 4 bytes BE | CRC-32C of body, 4 bytes BE | body
//	body: kind, 1 byte | number of the chunk, 4 bytes BE | payload
//
//	kind 1, header, first:   "ZKTR" | version 1 | zxid, 8 | hash, 8
//	kind 2, records:         { key length, varint | key | value length, varint | value }
//	kind 3, trailer, last:   applied record, version 1 | number of records, 8 | xxhash64 of all records' bytes, 8
//
// Records come in the order of their keys, columns 00 to 03 only.
//
// # Memory
//
// Three budgets: a cache of decoded nodes (counted in bytes, sharded, second chances,
// so that a scan of cold nodes does not wash out the hot ones), Pebble's block
// cache, and Pebble's memtables. Values of a kibibyte and more live in Pebble's blob files:
// listing children and compacting tables do not read them.
//
// # Left to others
//
// What a transaction does is znode's business, when to install it the applier's, which
// entries the log must keep the peer's, how chunks travel the transport's.
package store
