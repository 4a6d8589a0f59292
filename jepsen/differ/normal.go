package differ

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
)

// names gives the values that two servers choose for themselves the same names on both: a zxid
// is told by its distance from the newest one before the script, a session by the order in which
// it was opened. Of a time only that it belongs to its zxid can be told.
type names struct {
	base     int64
	sessions map[int64]string
	times    map[int64]int64 // by zxid
	skipped  []int64         // zxids that do not count, ascending
	merged   [][2]int64      // first and last of zxids with one name, ascending
}

func newNames(base int64) *names {
	return &names{base: base, sessions: map[int64]string{0: "0"}, times: map[int64]int64{}}
}

func (n *names) zxid(z int64) string {
	if z == 0 || z == -1 {
		return strconv.FormatInt(z, 10)
	}
	for _, m := range n.merged {
		if m[0] <= z && z < m[1] {
			z = m[1]
		}
	}
	spent, _ := slices.BinarySearch(n.skipped, z+1)
	return fmt.Sprintf("%+d", z-n.base-int64(spent))
}

// skip leaves the newest zxid out of the count: it was spent on a request that could not be
// decoded.
func (n *names) skip(z int64) { n.skipped = append(n.skipped, z) }

// merge gives the zxids behind one up to another the same name: their order has no meaning.
func (n *names) merge(behind, last int64) {
	if last > behind+1 {
		n.merged = append(n.merged, [2]int64{behind + 1, last})
	}
}

// session returns the name of a session; one that no client here opened has its number.
func (n *names) session(id int64) string {
	if name, ok := n.sessions[id]; ok {
		return name
	}
	return fmt.Sprintf("%#x", uint64(id))
}

// newSession names a session that was just opened.
func (n *names) newSession(id int64) string {
	if _, ok := n.sessions[id]; !ok {
		n.sessions[id] = "s" + strconv.Itoa(len(n.sessions))
	}
	return n.session(id)
}

// time returns "" for a time that is the one of its transaction.
func (n *names) time(t, zxid int64) string {
	known, ok := n.times[zxid]
	switch {
	case !ok && (zxid != 0 || t == 0):
		n.times[zxid] = t
		return ""
	case known == t:
		return ""
	}
	return "!time"
}

// decoder writes what a reply holds.
type decoder struct {
	*names
	cur jute.Cursor
	b   strings.Builder
}

func (d *decoder) put(format string, args ...any) { fmt.Fprintf(&d.b, format, args...) }

// str reads a string or buffer.
func (d *decoder) str() string {
	b := d.cur.Buffer()
	if b == nil {
		return "null"
	}
	return quote(string(b))
}

func (d *decoder) stat() {
	var s proto.Stat
	s.Decode(&d.cur)
	d.put(" c=%s%s m=%s%s p=%s v=%d cv=%d av=%d owner=%s len=%d kids=%d",
		d.zxid(int64(s.Czxid)), d.time(s.Ctime, int64(s.Czxid)), d.zxid(int64(s.Mzxid)), d.time(s.Mtime, int64(s.Mzxid)),
		d.zxid(int64(s.Pzxid)), s.Version, s.Cversion, s.Aversion, d.session(int64(s.EphemeralOwner)), s.DataLength, s.NumChildren)
}

// list reads a vector in no particular order.
func (d *decoder) list(element func() string) {
	n := d.cur.Int()
	if n < 0 {
		d.put(" null%d", n)
		return
	}
	var all []string
	for i := int32(0); i < n && d.cur.Err() == nil; i++ {
		all = append(all, element())
	}
	slices.Sort(all)
	d.put(" %v", all)
}

// acls reads an access control list. What "auth" stands for comes in the order of a set in Java:
// neighbours of the schemes digest and sasl with the same permissions are sorted.
func (d *decoder) acls() {
	n := d.cur.Int()
	if n < 0 {
		d.put(" null%d", n)
		return
	}
	type entry struct {
		perms      int32
		scheme, id string
	}
	var all []entry
	for i := int32(0); i < n && d.cur.Err() == nil; i++ {
		all = append(all, entry{d.cur.Int(), d.str(), d.str()})
	}
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && (all[j].scheme == `"digest"` || all[j].scheme == `"sasl"`) && all[j].perms == all[i].perms {
			j++
		}
		slices.SortFunc(all[i:max(i, j)], func(a, b entry) int { return strings.Compare(a.scheme+a.id, b.scheme+b.id) })
		i = max(i+1, j)
	}
	d.put(" [")
	for i, e := range all {
		if i > 0 {
			d.put(" ")
		}
		d.put("%d:%s:%s", e.perms, e.scheme, e.id)
	}
	d.put("]")
}

// body writes the body of a successful reply to op (spec client-protocol 6.2).
func (d *decoder) body(op proto.Op) {
	switch op {
	case proto.OpCreate, proto.OpSync:
		d.put(" %s", d.str())
	case proto.OpCreate2, proto.OpCreateContainer, proto.OpCreateTTL:
		d.put(" %s", d.str())
		d.stat()
	case proto.OpExists, proto.OpSetData, proto.OpSetACL:
		d.stat()
	case proto.OpGetData, proto.OpReconfig:
		d.put(" %s", d.str())
		d.stat()
	case proto.OpGetACL:
		d.acls()
		d.stat()
	case proto.OpGetChildren, proto.OpGetEphemerals:
		d.list(d.str)
	case proto.OpGetChildren2:
		d.list(d.str)
		d.stat()
	case proto.OpGetAllChildrenNumber, proto.OpAddWatch:
		d.put(" %d", d.cur.Int())
	case proto.OpSASL:
		d.put(" %s", withoutSecrets(d.str()))
	case proto.OpWhoAmI:
		d.list(func() string { return d.str() + ":" + d.str() })
	case proto.OpMulti, proto.OpMultiRead:
		d.multi()
	}
}

// multi writes the results of a multi (spec client-protocol 8).
func (d *decoder) multi() {
	d.put(" {")
	for d.cur.Err() == nil {
		op, done, code := proto.Op(d.cur.Int()), d.cur.Bool(), d.cur.Int()
		if done {
			d.put(" } %d %d", op, code)
			return
		}
		d.put(" %v %d", op, code)
		if op == proto.OpError {
			d.put(" %d", d.cur.Int())
		} else {
			d.body(op)
		}
		d.put(";")
	}
}

// end returns the text, with a word about bytes that should not be there, or are not.
func (d *decoder) end() string {
	if err := d.cur.Err(); err != nil {
		d.put(" !%v", err)
	} else if d.cur.Remaining() > 0 {
		d.put(" !more %x", d.cur.Rest())
	}
	return d.b.String()
}

// reply writes a reply behind its header.
func (n *names) reply(r *Request, h proto.ReplyHeader, rest []byte) string {
	d := decoder{names: n, cur: jute.NewCursor(rest)}
	op := r.Op.String()
	if !r.Op.Known() {
		op = "unknown"
	}
	d.put("%s %s", op, n.zxid(int64(h.Zxid)))
	if h.Err != proto.CodeOK {
		d.put(" err %d", int32(h.Err))
		return d.end()
	}
	d.body(r.Op)
	return d.end()
}

// event writes a notification.
func (n *names) event(h proto.ReplyHeader, rest []byte) string {
	d := decoder{names: n, cur: jute.NewCursor(rest)}
	t, state := proto.EventType(d.cur.Int()), d.cur.Int()
	d.put("event %s %v %s", n.zxid(int64(h.Zxid)), t, d.str())
	if state != int32(proto.StateSyncConnected) || h.Err != proto.CodeOK {
		d.put(" state %d err %d", state, int32(h.Err))
	}
	return d.end()
}
