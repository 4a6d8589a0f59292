// Package peer is one server's life among the others: LOOKING, then LEADING,
// FOLLOWING or OBSERVING, then LOOKING again. It owns the fle and zab machines and gives
// them what they do not have: time, the network and the disk.
//
// One goroutine, Peer.Run, owns all protocol state. Everything that happens reaches
// it as an event in one inbox: messages of other servers, the log's word that a step is durable,
// requests of this server's clients, transactions of the leader's preparer. The loop drains
// the inbox in bursts, steps the machine for every event, and then carries out the machine's
// Ready once for the whole burst, so that batches form by themselves when there is load.
//
//	transport ──► inbox ──► loop ──► fle.Machine / zab role
//	log writer ──►   │        │
//	clients    ──►   │        ├──► Log.Submit      one atomic synced step
//	preparer   ──►   ┘        ├──► Transport.Send  never blocks
//	                          └──► StateMachine    committed entries, in order
//
// The package declares the three interfaces it feeds: Log, Transport and
// StateMachine. It knows nothing of znodes, sessions or clients; package node joins it to
// the server.
//
// A role is an instance: it gets a Writer of the log of its own, which fences
// those before it, and when it ends every goroutine that it started (history streams) has been
// waited for and the state machine has stopped serving, before the next election begins
// (spec zab-and-election 0.2, hazard H-28). Nothing is carried from one role to the next but what
// is on disk, and the name of the leader that a reconfiguration has designated: then
// the next role begins without an election.
//
// The membership is the log's, or, as long as it has none, the configuration's. Whenever a role
// changes it, election, transport and state machine are told (members.go).
//
// A single-voter ensemble runs the very same loop and machines without a transport: that
// is standalone mode.
package peer
