package sim

import (
	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// state is a tree of nodes as one process has it open: znode/store, or its twin in memory.
type state interface {
	znode.View
	// at is the point up to which it is applied, sum the digest there, public the part of it that travels
	// with transactions.
	at() zxid.Point
	sum() uint64
	public() uint64
	install(c *znode.Changes, at zxid.Point)
	eachSession(yield func(id proto.SessionID, timeout int32))

	// flush makes it durable as it is, flushed is what a crash would leave of it.
	flush()
	flushed() zxid.Point

	// snapshot takes a snapshot, stage begins to receive one, replace makes the one that was
	// received the state.
	snapshot() snapshot
	stage(at zxid.Point) staging
	replace(staging)
	// resume makes the snapshot that a crash left behind the state; false: there is none. discard
	// forgets what was received and did not become the state.
	resume(at zxid.Point) bool
	discard()

	// differs says in what it is not what it must be, from scratch.
	differs(ref *tree) string
	close()
}

// snapshot is a state on its way out.
type snapshot interface {
	point() zxid.Point
	next() (chunk []byte, done bool)
	close()
}

// staging is a state on its way in.
type staging interface {
	write(chunk []byte) error
	// finish verifies that everything has come and makes it durable.
	finish() (zxid.Point, error)
}
