package transport

import (
	"errors"
	"fmt"

	"github.com/zabkeeper/zabkeeper/proto/peerwire"
	"github.com/zabkeeper/zabkeeper/quorum"
)

// Why a link ended or cannot be used. Handler.LinkDown and SendWait wrap them.
var (
	// ErrQueueFull: more than Config.QueueBytes waited to be sent (hazard H-66).
	ErrQueueFull = errors.New("transport: too much is waiting to be sent")
	// ErrTooSlow: a message waited longer than Config.QueueAge.
	ErrTooSlow = errors.New("transport: the peer takes messages too slowly")
	// ErrReplaced: the peer opened a newer connection.
	ErrReplaced = errors.New("transport: replaced by a newer connection")
	// ErrHungUp: Hangup was called.
	ErrHungUp = errors.New("transport: hung up")
	// ErrLeft: the peer is no member any more.
	ErrLeft = errors.New("transport: the server has left the ensemble")
	// ErrStopped: Run has ended.
	ErrStopped = errors.New("transport: stopped")
	// ErrNoLink: there is no such link, or no longer.
	ErrNoLink = errors.New("transport: no such link")
	// ErrProtocol: the peer sent what no server of this protocol would.
	ErrProtocol = errors.New("transport: protocol violation")
	// ErrTooLarge: a message does not fit in Config.MaxFrame.
	ErrTooLarge = errors.New("transport: message exceeds the frame limit")
)

// BindError says that a port could not be bound. The process should end with exit code 14.
type BindError struct {
	Address string
	Tries   int
	Err     error
}

// Error names the address.
func (e *BindError) Error() string {
	return fmt.Sprintf("transport: cannot bind %s after %d tries: %v", e.Address, e.Tries, e.Err)
}

// Unwrap returns the cause.
func (e *BindError) Unwrap() error { return e.Err }

// RefusedError says that one side of a connection refused the other.
type RefusedError struct {
	Reason peerwire.Refusal
	// ByPeer: the other side refused this server.
	ByPeer bool
	// Hello is how the other side introduced itself.
	Hello peerwire.Hello
	// Want is whom this server meant to dial, None for an accepted connection.
	Want quorum.SID
}

// Error tells who refused whom.
func (e *RefusedError) Error() string {
	who := "refused server"
	if e.ByPeer {
		who = "refused by server"
	}
	return fmt.Sprintf("transport: %s %v: %v", who, e.Hello.SID, e.Reason)
}
