// Package peerwire turns what the servers of an ensemble say to each other into bytes and
// back: Hello, which opens every connection; fle.Notification, the one message of the election
// channel; and zab.Message, those of the learner channel.
//
// # Format
//
// The bytes are protobuf of the schema proto/zabpb/peer.proto: Append writes exactly what the
// generated code would write, field by field in ascending order with zero values left
// out, and Decode reads whatever the generated code could have written. Writing and reading are
// done by hand on top of protowire, because a leader encodes every transaction once per
// follower: appending allocates nothing, decoding allocates one slice for all entries of
// a batch.
//
//	Hello         version, sid, to, channel, cluster 16 B, incarnation 16 B, config 8 B, refusal
//	Notification  from, to, state, leader, zxid 8 B, epoch, round, config 8 B
//	Message       kind, from, to, epoch, zxid 8 B, point, entries, data, seq, done, identity...
//	Entry         zxid 8 B, prev 8 B, hash 8 B, data
//
// Numbers without a width are varints. A server id is zigzag, so that -1, nobody, is one byte;
// zxids and hashes have a fixed width. Integrity, length and order of messages are the business
// of the frame around them (quorum/transport).
//
// # What Decode promises
//
// Input is hostile. Decode returns an error that wraps ErrMalformed, and never panics; it
// allocates no more than a small multiple of the bytes that it was given, because
// every count is checked against the bytes that are really there. What it accepts is well formed
// for the cores: kinds, states and channels are known ones, server ids and epochs are in range,
// runs of a history ascend above its base, remembered incarnations ascend by sid. Unknown
// fields are skipped, so that a newer server may say more.
//
// Data of messages and entries is not copied: it aliases the input, whose buffer belongs
// to the message from then on. Aliases tells whether a message holds on to its input.
// Empty slices decode as nil.
//
// The package is pure.
package peerwire
