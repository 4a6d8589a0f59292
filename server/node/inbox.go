package node

import (
	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
)

// inbox is the transport's handler. The transport is made before the peer that it
// reports to, and runs after.
type inbox struct{ n *Node }

func (i inbox) Notified(note fle.Notification) { i.n.peer.Notified(note) }

func (i inbox) Reachable(sid quorum.SID, up bool, incarnation quorum.Incarnation) {
	i.n.peer.Reachable(sid, up, incarnation)
}

func (i inbox) LinkUp(link uint64, sid quorum.SID) { i.n.peer.LinkUp(link, sid) }

func (i inbox) Received(link uint64, msgs []zab.Message) { i.n.peer.Received(link, msgs) }

func (i inbox) LinkDown(link uint64, err error) { i.n.peer.LinkDown(link, err) }
