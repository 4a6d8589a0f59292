package fourletter

import (
	"strconv"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
)

// operations are the names that cons has for what a client asked.
var operations = map[proto.Op]string{
	proto.OpPing: "PING", proto.OpCreateSession: "SESS", proto.OpMulti: "MULT", proto.OpMultiRead: "MLTR",
	proto.OpCreate: "CREA", proto.OpCreate2: "CREA", proto.OpCreateTTL: "CREA", proto.OpCreateContainer: "CREA",
	proto.OpDelete: "DELE", proto.OpSetData: "SETD", proto.OpReconfig: "RECO", proto.OpSetACL: "SETA",
	proto.OpCloseSession: "CLOS", proto.OpSync: "SYNC", proto.OpExists: "EXIS", proto.OpGetData: "GETD",
	proto.OpSetWatches: "SETW", proto.OpSetWatches2: "STW2", proto.OpAddWatch: "ADDW", proto.OpGetACL: "GETA",
	proto.OpGetChildren: "GETC", proto.OpGetChildren2: "GETC", proto.OpGetAllChildrenNumber: "GETACN",
	proto.OpCheckWatches: "CHKW", proto.OpRemoveWatches: "REMW", proto.OpWhoAmI: "HOMI", proto.OpGetEphemerals: "GETE",
}

// Operation returns the name that cons has for an operation, "NA" for one that has none: a
// client's last request was a write that failed, or there was none.
func Operation(op proto.Op) string {
	if name, ok := operations[op]; ok {
		return name
	}
	return "NA"
}

// clients lists connections, in full or not, and an empty line.
func clients(t *text, src Source, full bool) {
	src.Clients(func(c *Client) bool {
		client(t, c, full)
		t.add("\n")
		return t.flows()
	})
	t.add("\n")
}

func client(t *text, c *Client, full bool) {
	t.printf(" /%s[%x](queued=%d,recved=%d,sent=%d", c.Address, c.Interest, c.Queued, c.Received, c.Sent)
	if full && c.Session != 0 {
		t.printf(",sid=%s,lop=%s,est=%d,to=%d", c.Session, c.Op, c.EstablishedMs, c.TimeoutMs)
		if c.Cxid >= 0 {
			t.printf(",lcxid=0x%x", int32(c.Cxid))
		}
		t.printf(",lzxid=0x%x,lresp=%d,llat=%d,minlat=%d,avglat=%d,maxlat=%d",
			uint64(c.Zxid), c.AnsweredMs, c.LatencyLast, c.LatencyMin, c.LatencyAvg, c.LatencyMax)
	}
	t.add(")")
}

func dump(t *text, src Source) {
	t.add("SessionTracker dump:\n")
	sessions(t, src.Sessions())
	t.printf("ephemeral nodes dump:\nSessions with Ephemerals (%d):\n", src.Owners())
	last := proto.SessionID(0) // owns nothing
	src.Ephemerals(func(owner proto.SessionID, path string) bool {
		if owner != last {
			last = owner
			writeSession(t, owner)
			t.add(":\n")
		}
		t.add("\t" + path + "\n")
		return t.flows()
	})
	t.add("Connections dump:\nConnections ")
	dues(t, src.Connections(), func(c Connection) {
		t.add("ip: /" + c.Address + " sessionId: ")
		writeSession(t, c.Session)
	})
}

func sessions(t *text, s Sessions) {
	id := func(id proto.SessionID) { writeSession(t, id) }
	if s.HasLocal {
		t.add("Local Session ")
		dues(t, s.Local, id)
	}
	switch {
	case !s.Leads:
		t.printf("Global Sessions(%d):\n", len(s.Timeouts))
		for _, one := range s.Timeouts {
			t.printf("%s\t%dms\n", one.Session, one.TimeoutMs)
			if !t.flows() {
				break
			}
		}
		return
	case s.HasLocal:
		t.add("Global ")
	}
	t.add("Session ")
	dues(t, s.Global, id)
}

// dues lists things by the time at which they end.
func dues[T any](t *text, list []Due[T], thing func(T)) {
	n := 0
	for i := range list {
		n += len(list[i].Things)
	}
	t.printf("Sets (%d)/(%d):\n", len(list), n)
	for i := range list {
		t.printf("%d expire at %s:\n", len(list[i].Things), date(list[i].At))
		for _, one := range list[i].Things {
			t.add("\t")
			thing(one)
			t.add("\n")
			if !t.flows() {
				return
			}
		}
	}
}

// date writes a time as Java does.
func date(t time.Time) string { return t.Format("Mon Jan 02 15:04:05 MST 2006") }

// watches lists who watches what, and an empty line.
func watches(t *text, src Source, byPath bool) {
	src.Watches(byPath, func(l *WatchLine) bool {
		if l.IsPath != byPath {
			t.add("\t")
		}
		if l.IsPath {
			t.add(l.Path)
		} else {
			writeSession(t, l.Session)
		}
		t.add("\n")
		return t.flows()
	})
	t.add("\n")
}

func writeSession(t *text, id proto.SessionID) {
	t.buf = strconv.AppendUint(append(t.buf, "0x"...), uint64(id), 16)
}
