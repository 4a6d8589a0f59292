package sim

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// twin is a state in memory with the durability of the store: what was flushed is on the disk.
type twin struct {
	*tree
	d *disk
}

func (t *twin) at() zxid.Point { return t.applied }

func (t *twin) sum() uint64 { return t.digest }

func (t *twin) public() uint64 { return t.digest - t.system }

func (t *twin) eachSession(yield func(id proto.SessionID, timeout int32)) {
	for _, id := range slices.Sorted(maps.Keys(t.sessions)) {
		yield(id, t.sessions[id])
	}
}

func (t *twin) flush() { t.d.saved = t.clone() }

func (t *twin) flushed() zxid.Point { return t.d.saved.applied }

func (t *twin) snapshot() snapshot { return t.image() }

func (t *twin) stage(at zxid.Point) staging { return newTwinStaging(t.d, at) }

func (t *twin) replace(in staging) {
	t.tree = in.(*twinStaging).t //nolint:errcheck // stage made it
	t.d.saved, t.d.staged = t.clone(), nil
}

func (t *twin) resume(at zxid.Point) bool {
	if t.d.staged == nil || t.d.staged.applied != at {
		return false
	}
	t.d.saved = t.d.staged
	t.tree = t.d.saved.clone()
	return true
}

func (t *twin) discard() { t.d.staged = nil }

func (t *twin) close() {}

func (t *twin) differs(ref *tree) string {
	switch {
	case t.applied != ref.applied:
		return fmt.Sprintf("applied %v and %v", t.applied, ref.applied)
	case t.digest != ref.digest || t.scan() != ref.scan() || t.scan() != t.digest:
		return fmt.Sprintf("digests %016x (scan %016x) and %016x (scan %016x)", t.digest, t.scan(), ref.digest, ref.scan())
	}
	return sameSessions(t.sessions, ref.sessions)
}

// sameSessions says in what two tables differ.
func sameSessions(got, want map[proto.SessionID]int32) string {
	if maps.Equal(got, want) {
		return ""
	}
	return fmt.Sprintf("sessions %v and %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
}

// image is a snapshot: a tree at one point, cut into chunks.
type image struct {
	at     zxid.Point
	chunks [][]byte
	sent   int
}

func (i *image) point() zxid.Point { return i.at }

func (i *image) next() (chunk []byte, done bool) {
	i.sent++
	return i.chunks[i.sent-1], i.sent == len(i.chunks)
}

func (i *image) close() {}

// chunkNodes is how many nodes go into one chunk.
const chunkNodes = 12

// image takes a snapshot.
func (t *tree) image() *image {
	img := &image{at: t.applied}
	var b []byte
	for i, id := range slices.Sorted(maps.Keys(t.sessions)) {
		if i == 0 {
			b = jute.AppendInt(b, int32(len(t.sessions)))
		}
		b = jute.AppendLong(b, int64(id))
		b = jute.AppendInt(b, t.sessions[id])
	}
	if b == nil {
		b = jute.AppendInt(b, 0)
	}
	b = jute.AppendLong(b, int64(t.digest))
	img.chunks = append(img.chunks, b)
	b = nil
	for i, path := range slices.Sorted(maps.Keys(t.nodes)) {
		if i > 0 && i%chunkNodes == 0 {
			img.chunks = append(img.chunks, b)
			b = nil
		}
		b = appendNode(b, path, t.nodes[path])
	}
	img.chunks = append(img.chunks, b)
	return img
}

func appendNode(b []byte, path string, n *znode.Node) []byte {
	b = jute.AppendString(b, path)
	b = jute.AppendBuffer(b, n.Data)
	b = jute.AppendCount(b, len(n.ACL))
	for _, a := range n.ACL {
		b = jute.AppendInt(b, int32(a.Perms))
		b = jute.AppendString(b, a.ID.Scheme)
		b = jute.AppendString(b, a.ID.ID)
	}
	for _, v := range []int64{
		int64(n.Czxid), int64(n.Mzxid), int64(n.Pzxid), n.Ctime, n.Mtime, int64(n.Version),
		int64(n.Aversion), int64(n.Created), int64(n.NumChildren), int64(n.Owner),
	} {
		b = jute.AppendLong(b, v)
	}
	return b
}

var errImage = errors.New("sim: damaged snapshot")

// twinStaging receives a snapshot.
type twinStaging struct {
	d     *disk
	t     *tree
	begun bool
	want  uint64
}

func newTwinStaging(d *disk, at zxid.Point) *twinStaging {
	s := &twinStaging{d: d, t: emptyTree()}
	s.t.applied = at
	return s
}

// write takes the next chunk.
func (s *twinStaging) write(chunk []byte) error {
	c := jute.NewCursor(chunk)
	if !s.begun {
		s.begun = true
		for range c.Int() {
			id := proto.SessionID(c.Long())
			s.t.sessions[id] = c.Int()
		}
		s.want = uint64(c.Long())
		return c.Err()
	}
	for len(c.Rest()) > 0 && c.Err() == nil {
		path, n := readNode(&c)
		s.t.put(path, n)
	}
	return c.Err()
}

func readNode(c *jute.Cursor) (string, *znode.Node) {
	n := &znode.Node{}
	path := c.String()
	n.Data = slices.Clone(c.Buffer())
	for range c.Count(1) {
		n.ACL = append(n.ACL, proto.ACL{Perms: proto.Perms(c.Int()), ID: proto.ID{Scheme: c.String(), ID: c.String()}})
	}
	n.Czxid, n.Mzxid, n.Pzxid = zxid.ID(c.Long()), zxid.ID(c.Long()), zxid.ID(c.Long())
	n.Ctime, n.Mtime = c.Long(), c.Long()
	n.Version, n.Aversion = int32(c.Long()), int32(c.Long())
	n.Created, n.NumChildren = int32(c.Long()), int32(c.Long())
	n.Owner = proto.SessionID(c.Long())
	return path, n
}

// finish verifies that everything has come, and makes it durable.
func (s *twinStaging) finish() (zxid.Point, error) {
	s.t.system = znode.SystemDigest(s.t)
	if s.t.digest = s.t.scan(); !s.begun || s.t.digest != s.want {
		return zxid.Point{}, errImage
	}
	s.d.staged = s.t.clone()
	return s.t.applied, nil
}
