// Package transport carries the messages of fle and zab between the servers of an ensemble.
// It knows who is at the other end of a connection and that nothing was lost or damaged on the
// way; it knows nothing of what the messages mean.
//
// # Two channels
//
// The election channel is one connection per pair of servers, dialled by the one with
// the higher sid for as long as it lives; a lower one that lacks it pokes: it dials, introduces
// itself and hangs up, and is dialled back at once (spec zab-and-election 2.1, 2.2). Only the newest
// notification to a server waits to be sent, and the last one is repeated on a new connection.
// A connection that is replaced is closed only when something has arrived on the new one, so that neither
// end sees a gap. Empty frames are sent when there is nothing to say, so that a dead, frozen or one-way
// connection is noticed (hazards H-53, H-54, H-56): Handler.Reachable says whether messages can
// flow both ways right now. Dials are asynchronous, one in flight per server, and resolve names anew
// each time (H-46, H-48).
//
// The learner channel is one link per learner, dialled by the learner to the quorum port of
// whom it believes to be the leader. Both ports are listened on for the whole life of
// the process; who is not the leader hangs up. A link has one reader and one writer goroutine.
// Send appends to a queue and never blocks; the writer puts everything that is queued into as few
// system calls as it can; the reader hands over all messages of one read together. Links are
// named by numbers that are never used twice.
//
// # Frames
//
//	+-----------+------------+-----------------+---------+
//	| length  4 | CRC-32C  4 | sequence number 4 | payload |
//	+-----------+------------+-----------------+---------+
//
// Integers are big endian. length counts the payload, the checksum covers sequence number
// and payload, and the sequence number counts the frames of one direction of one connection
// from 0. A wrong checksum, a gap, a length over the limit or a payload that does not decode ends
// that connection and nothing else (H-47). The first frame in each direction is a
// peerwire.Hello; an empty payload is a sign of life.
//
// # Who may connect
//
// The Hello of either side is judged by the other: protocol version, channel, ensemble (H-41),
// sid, and that the dialler reached whom it meant to. While a server is connected, another with the
// same sid and another incarnation is refused, and a server that meets its own sid under
// another incarnation reports a Conflict (H-39). The accepting side answers a refusal with its reason,
// so that both logs tell it; repeated lines are suppressed.
//
// # Members and strangers
//
// Whom a server dials, and where, is a quorum.Membership, which Transport.SetMembers replaces while
// everything runs. Members of either configuration get a keeper, a goroutine that dials or pokes, unless
// neither end votes; those that have left lose their keeper and their election connection. While a
// configuration is not committed a server is dialled at its new addresses and at the old ones, and listens
// at both; then election connections that were dialled to an address that is gone are replaced, and listeners
// there are closed, after new ones have been opened. Links of the learner channel end when a zab role
// says so.
//
// A server that the membership does not list is a stranger: one that is to join, or was removed. Where
// Config.Strangers is false it is refused. Otherwise it may connect on both channels, and has an election
// connection for as long as that lasts. Its address is not known, so it cannot be dialled back when
// its sid is the lower one; therefore the answer to its Hello says Keep, and the connection
// that it dialled becomes the election connection of both ends. When the stranger becomes a member that
// connection stays. Should a kept and a dialled connection meet, both ends prefer the one that the higher
// sid dialled; of two of the same sort, the newer.
//
// # Limits
//
// Queued bytes of a link (over them: the link is closed, H-66), age of a queue's head, time of
// one write (H-56, H-65), size of a frame, size of a Hello, connections that have not introduced
// themselves, two election connections of one sid, member or stranger. Memory for a frame grows with the bytes that arrive, not with the length announced.
//
// # How it is driven
//
// Transport.Run does everything and returns when all its goroutines have ended. Events go
// to a Handler; methods may be called from any goroutine. Memory is a twin of whole ensembles inside one
// process, for tests of what is above.
package transport
