package znode

import (
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// nodeState is what judging a request needs to know about a node.
type nodeState struct {
	exists   bool
	acl      []proto.ACL // as Node.ACL
	owner    proto.SessionID
	version  int32
	aversion int32
	created  int32
	children int32
	size     int32 // of the data

	// What else the digest of the node depends on; kept only for that.
	czxid, mzxid, pzxid zxid.ID
	ctime, mtime        int64
	null                bool   // the data is null
	hashed              bool   // dataHash is that of the data
	data                []byte // unless hashed: of the view's node
	dataHash            uint64
	sum                 uint64 // its digest, of a pending node
}

// setData notes the data of a node.
func (s *nodeState) setData(data []byte, digesting bool) {
	s.size, s.null, s.data, s.hashed = int32(len(data)), data == nil, nil, digesting
	if digesting {
		s.dataHash = xxhash.Sum64(data)
	}
}

// digest is NodeDigest of the node at path, 0 for one that does not count.
func (s *nodeState) digest(path string) uint64 {
	if !s.exists || undigested(path) {
		return 0
	}
	if !s.hashed {
		s.dataHash, s.hashed = xxhash.Sum64(s.data), true
	}
	length := int(s.size)
	if s.null {
		length = -1
	}
	return blockDigest(path, &Node{
		ACL: s.acl, Czxid: s.czxid, Mzxid: s.mzxid, Pzxid: s.pzxid, Ctime: s.ctime, Mtime: s.mtime,
		Version: s.version, Aversion: s.aversion, Created: s.created, NumChildren: s.children, Owner: s.owner,
	}, s.dataHash, length)
}

// pendingNode is a node as the newest transaction that touched it will leave it.
type pendingNode struct {
	nodeState
	zxid zxid.ID
}

type pendingSession struct {
	live bool
	zxid zxid.ID
}

// pendingMark says that a transaction touched a node, or a session if path is empty.
type pendingMark struct {
	zxid    zxid.ID
	path    string
	session proto.SessionID
}

// undoRecord is what rolling back a multi puts back.
type undoRecord struct {
	path    string
	existed bool
	was     pendingNode
}

// pending holds what proposed transactions will change and the view does not show yet, as
// absolute states: whether the view has already caught up with some of it does not matter.
// It is bounded by the number of proposals that may be outstanding.
type pending struct {
	nodes    map[string]*pendingNode
	sessions map[proto.SessionID]pendingSession
	// owners counts, for each session, the entries of nodes that are its ephemerals.
	owners map[proto.SessionID]int
	// queue[head:] holds a mark for each entry's every transaction, by zxid.
	queue []pendingMark
	head  int
	// undo is written while recording, from beginUndo to endUndo.
	undo      []undoRecord
	undoQueue int
	recording bool
	// free holds entries for reuse.
	free []*pendingNode
}

// maxFree bounds the entries that are kept for reuse.
const maxFree = 4096

func newPending() pending {
	return pending{
		nodes:    make(map[string]*pendingNode),
		sessions: make(map[proto.SessionID]pendingSession),
		owners:   make(map[proto.SessionID]int),
	}
}

// put records the state in which transaction z leaves the node at path.
func (p *pending) put(path string, s nodeState, z zxid.ID) {
	e := p.nodes[path]
	if p.recording {
		u := undoRecord{path: path, existed: e != nil}
		if e != nil {
			u.was = *e
		}
		p.undo = append(p.undo, u)
	}
	if e == nil || e.zxid != z {
		p.queue = append(p.queue, pendingMark{zxid: z, path: path})
	}
	if e == nil {
		e = p.alloc()
		p.nodes[path] = e
	} else {
		p.count(e, -1)
	}
	e.nodeState, e.zxid = s, z
	p.count(e, 1)
}

// putSession records that transaction z creates or closes a session.
func (p *pending) putSession(id proto.SessionID, live bool, z zxid.ID) {
	p.sessions[id] = pendingSession{live: live, zxid: z}
	p.queue = append(p.queue, pendingMark{zxid: z, session: id})
}

// count keeps owners when an entry appears (+1) or disappears (-1).
func (p *pending) count(e *pendingNode, by int) {
	if !e.exists || !isSession(e.owner) {
		return
	}
	if n := p.owners[e.owner] + by; n > 0 {
		p.owners[e.owner] = n
	} else {
		delete(p.owners, e.owner)
	}
}

// ephemerals calls f with the path of every entry that is an ephemeral of the session, in
// no useful order, some more than once.
func (p *pending) ephemerals(owner proto.SessionID, f func(path string)) {
	if p.owners[owner] == 0 {
		return
	}
	for i := p.head; i < len(p.queue); i++ {
		m := &p.queue[i]
		if m.path == "" {
			continue
		}
		if e := p.nodes[m.path]; e != nil && e.exists && e.owner == owner {
			f(m.path)
		}
	}
}

// prune forgets what transactions up to z have left: the view shows it.
func (p *pending) prune(z zxid.ID) {
	for p.head < len(p.queue) && p.queue[p.head].zxid <= z {
		m := &p.queue[p.head]
		p.head++
		if m.path == "" {
			if s, ok := p.sessions[m.session]; ok && s.zxid <= z {
				delete(p.sessions, m.session)
			}
			continue
		}
		if e := p.nodes[m.path]; e != nil && e.zxid <= z {
			p.drop(m.path, e)
		}
		m.path = ""
	}
	switch {
	case p.head == len(p.queue):
		p.queue, p.head = p.queue[:0], 0
	case p.head > len(p.queue)/2:
		p.queue, p.head = slices.Delete(p.queue, 0, p.head), 0
	}
}

// beginUndo starts to remember what put overwrites. Sessions are not covered: a multi does
// not touch them.
func (p *pending) beginUndo() { p.recording, p.undoQueue = true, len(p.queue) }

// endUndo stops remembering and, if rollBack is set, restores the state of beginUndo.
func (p *pending) endUndo(rollBack bool) {
	if rollBack {
		for i := len(p.undo) - 1; i >= 0; i-- {
			p.restore(&p.undo[i])
		}
		clear(p.queue[p.undoQueue:])
		p.queue = p.queue[:p.undoQueue]
	}
	clear(p.undo)
	p.undo = p.undo[:0]
	p.recording = false
}

func (p *pending) restore(u *undoRecord) {
	e := p.nodes[u.path]
	if !u.existed {
		p.drop(u.path, e)
		return
	}
	p.count(e, -1)
	*e = u.was
	p.count(e, 1)
}

func (p *pending) drop(path string, e *pendingNode) {
	p.count(e, -1)
	delete(p.nodes, path)
	*e = pendingNode{}
	if len(p.free) < maxFree {
		p.free = append(p.free, e)
	}
}

func (p *pending) alloc() *pendingNode {
	n := len(p.free)
	if n == 0 {
		return new(pendingNode)
	}
	e := p.free[n-1]
	p.free = p.free[:n-1]
	return e
}
