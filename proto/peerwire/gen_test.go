package peerwire_test

import (
	"pgregory.net/rapid"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/proto/peerwire"
	"github.com/zabkeeper/zabkeeper/proto/zabpb"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// entries makes a proper chain of n entries with size bytes each.
func entries(n, size int) []zab.Entry {
	out := make([]zab.Entry, 0, n)
	at := zxid.Point{ID: 0x200000007, Hash: 99}
	for i := range n {
		e := zab.NewEntry(at, zxid.Make(3, zxid.Counter(i+1)), make([]byte, size))
		out, at = append(out, e), e.Point()
	}
	return out
}

func genSID() *rapid.Generator[quorum.SID] {
	return rapid.Custom(func(t *rapid.T) quorum.SID { return quorum.SID(rapid.IntRange(0, 255).Draw(t, "sid")) })
}

func genZxid() *rapid.Generator[zxid.ID] {
	return rapid.OneOf(rapid.Just(zxid.ID(0)), rapid.Just(zxid.Untrusted), rapid.Custom(func(t *rapid.T) zxid.ID {
		return zxid.Make(genEpoch().Draw(t, "epoch"), zxid.Counter(rapid.Uint32().Draw(t, "counter")))
	}))
}

func genEpoch() *rapid.Generator[zxid.Epoch] {
	return rapid.Custom(func(t *rapid.T) zxid.Epoch {
		return zxid.Epoch(rapid.Uint32Range(0, uint32(zxid.MaxEpoch)).Draw(t, "e"))
	})
}

func genID16() *rapid.Generator[[16]byte] {
	return rapid.Custom(func(t *rapid.T) (id [16]byte) {
		if rapid.Bool().Draw(t, "present") {
			copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		}
		return id
	})
}

// genData never makes an empty slice that is not nil: it would come back as nil.
func genData() *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		if b := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "data"); len(b) > 0 {
			return b
		}
		return nil
	})
}

func genPoint() *rapid.Generator[zxid.Point] {
	return rapid.Custom(func(t *rapid.T) zxid.Point {
		return zxid.Point{ID: genZxid().Draw(t, "zxid"), Hash: rapid.Uint64().Draw(t, "hash")}
	})
}

func genEntries() *rapid.Generator[[]zab.Entry] {
	return rapid.Custom(func(t *rapid.T) []zab.Entry {
		var out []zab.Entry
		for range rapid.IntRange(0, 5).Draw(t, "entries") {
			out = append(out, zab.Entry{
				ID:   max(genZxid().Draw(t, "id"), 1),
				Prev: genZxid().Draw(t, "prev"), Hash: rapid.Uint64().Draw(t, "hash"), Data: genData().Draw(t, "data"),
			})
		}
		return out
	})
}

func genHistory() *rapid.Generator[zab.Summary] {
	return rapid.Custom(func(t *rapid.T) zab.Summary {
		s := zab.Summary{Base: zxid.Point{ID: zxid.ID(rapid.Uint32().Draw(t, "base")), Hash: rapid.Uint64().Draw(t, "hash")}}
		var epoch zxid.Epoch
		for range rapid.IntRange(0, 4).Draw(t, "runs") {
			epoch += zxid.Epoch(rapid.Uint32Range(1, 1000).Draw(t, "step"))
			s.Runs = append(s.Runs, zab.Run{
				Epoch: epoch,
				Last:  zxid.Counter(rapid.Uint32Min(1).Draw(t, "last")), Hash: rapid.Uint64().Draw(t, "runHash"),
			})
		}
		return s
	})
}

func genKnown() *rapid.Generator[[]zab.Known] {
	return rapid.Custom(func(t *rapid.T) []zab.Known {
		set := quorum.SetOf(rapid.SliceOfN(genSID(), 0, 5).Draw(t, "known")...)
		var out []zab.Known
		for sid := range set.All() {
			out = append(out, zab.Known{
				SID: sid, Incarnation: genID16().Draw(t, "incarnation"), Gone: rapid.Bool().Draw(t, "gone"),
				Noted: max(genZxid().Draw(t, "noted"), 0), Acked: max(genZxid().Draw(t, "acked"), 0),
			})
		}
		return out
	})
}

// genConfiguration draws a membership, or none.
func genConfiguration() *rapid.Generator[*quorum.Ensemble] {
	return rapid.Custom(func(t *rapid.T) *quorum.Ensemble {
		var members []quorum.Member
		for sid := range quorum.SetOf(rapid.SliceOfN(genSID(), 0, 4).Draw(t, "members")...).All() {
			host := quorum.HostPorts{Host: "h" + sid.String(), QuorumPort: 1, ElectionPort: 2}
			members = append(members, quorum.Member{SID: sid, Role: quorum.Role(rapid.IntRange(0, 1).Draw(t, "role")), Quorum: []quorum.HostPorts{host}})
		}
		if len(members) == 0 {
			return nil
		}
		e, err := quorum.NewEnsemble(max(genZxid().Draw(t, "version"), 0), members)
		if err != nil {
			t.Fatal(err)
		}
		return e
	})
}

// genMembership draws configurations as they may be: none, one, or a newer one beside it.
func genMembership() *rapid.Generator[quorum.Membership] {
	return rapid.Custom(func(t *rapid.T) quorum.Membership {
		committed := genConfiguration().Draw(t, "committed")
		seen := genConfiguration().Draw(t, "seen")
		if committed == nil || seen == nil || seen.Version() < committed.Version() {
			return quorum.Stable(committed)
		}
		return quorum.Membership{Committed: committed, Seen: seen}
	})
}

func genMessage() *rapid.Generator[zab.Message] {
	var all []zab.Kind
	for k := zab.KindInvalid; k < 255; k++ {
		if k.Valid() {
			all = append(all, k)
		}
	}
	return rapid.Custom(func(t *rapid.T) zab.Message {
		activate, designated := rapid.Bool().Draw(t, "activate"), quorum.SID(0)
		if activate {
			designated = genSID().Draw(t, "designated")
		}
		return zab.Message{
			Activate: activate, Designated: designated, Proposed: genConfiguration().Draw(t, "proposed"),
			Membership: genMembership().Draw(t, "membership"),
			Kind:       rapid.SampledFrom(all).Draw(t, "kind"), From: genSID().Draw(t, "from"), To: genSID().Draw(t, "to"),
			Epoch: genEpoch().Draw(t, "epoch"), Zxid: genZxid().Draw(t, "zxid"), Point: genPoint().Draw(t, "point"),
			Entries: genEntries().Draw(t, "entries"), Data: genData().Draw(t, "data"),
			Cluster: genID16().Draw(t, "cluster"), Incarnation: genID16().Draw(t, "incarnation"),
			Config: genZxid().Draw(t, "config"), Current: genEpoch().Draw(t, "current"),
			Fresh: rapid.Bool().Draw(t, "fresh"), NeedSnap: rapid.Bool().Draw(t, "needSnap"),
			Untrusted: rapid.Bool().Draw(t, "untrusted"), History: genHistory().Draw(t, "history"),
			Known: genKnown().Draw(t, "known"), Seq: rapid.Uint64().Draw(t, "seq"), Done: rapid.Bool().Draw(t, "done"),
		}
	})
}

func genNotification() *rapid.Generator[fle.Notification] {
	return rapid.Custom(func(t *rapid.T) fle.Notification {
		leader := genSID().Draw(t, "leader")
		if rapid.Bool().Draw(t, "nobody") {
			leader = quorum.None
		}
		return fle.Notification{
			From: genSID().Draw(t, "from"), To: genSID().Draw(t, "to"),
			State: fle.State(rapid.IntRange(0, 3).Draw(t, "state")),
			Vote:  fle.Vote{Leader: leader, Zxid: genZxid().Draw(t, "zxid"), Epoch: genEpoch().Draw(t, "epoch")},
			Round: rapid.Uint64().Draw(t, "round"), Config: genConfiguration().Draw(t, "config"),
			Pending: genConfiguration().Draw(t, "pending"), Life: genID16().Draw(t, "life"), Noted: genZxid().Draw(t, "noted"),
		}
	})
}

func genHello() *rapid.Generator[peerwire.Hello] {
	return rapid.Custom(func(t *rapid.T) peerwire.Hello {
		return peerwire.Hello{
			Version: rapid.Uint32().Draw(t, "version"), SID: genSID().Draw(t, "sid"), To: genSID().Draw(t, "to"),
			Channel: peerwire.Channel(rapid.IntRange(1, 2).Draw(t, "channel")),
			Cluster: genID16().Draw(t, "cluster"), Incarnation: genID16().Draw(t, "incarnation"),
			Config: genZxid().Draw(t, "config"), Refusal: peerwire.Refusal(rapid.IntRange(0, 7).Draw(t, "refusal")),
			Keep: rapid.Bool().Draw(t, "keep"),
		}
	})
}

// The generated forms of the same values.

func id16PB(id [16]byte) []byte {
	if id == ([16]byte{}) {
		return nil
	}
	return id[:]
}

func pointPB(p zxid.Point) *zabpb.Point {
	if p == (zxid.Point{}) {
		return nil
	}
	return &zabpb.Point{Zxid: int64(p.ID), Hash: p.Hash}
}

func messagePB(m *zab.Message) *zabpb.Message {
	pb := &zabpb.Message{
		Kind: zabpb.Kind(zabpb.Kind_value["KIND_"+m.Kind.String()]), From: int32(m.From), To: int32(m.To),
		Epoch: uint32(m.Epoch), Zxid: int64(m.Zxid), Point: pointPB(m.Point), Data: m.Data, Seq: m.Seq, Done: m.Done,
		Cluster: id16PB(m.Cluster), Incarnation: id16PB(m.Incarnation), Config: int64(m.Config),
		Current: uint32(m.Current), Fresh: m.Fresh, NeedSnap: m.NeedSnap, Untrusted: m.Untrusted,
	}
	for _, e := range m.Entries {
		pb.Entries = append(pb.Entries, &zabpb.Entry{Zxid: int64(e.ID), Prev: int64(e.Prev), Hash: e.Hash, Data: e.Data})
	}
	if m.History.Base != (zxid.Point{}) || len(m.History.Runs) > 0 {
		pb.History = &zabpb.Summary{Base: pointPB(m.History.Base)}
	}
	for _, r := range m.History.Runs {
		pb.History.Runs = append(pb.History.Runs, &zabpb.Run{Epoch: uint32(r.Epoch), Last: uint32(r.Last), Hash: r.Hash})
	}
	for _, k := range m.Known {
		pb.Known = append(pb.Known, &zabpb.Known{
			Sid: int32(k.SID), Incarnation: id16PB(k.Incarnation), Gone: k.Gone, Noted: int64(k.Noted), Acked: int64(k.Acked),
		})
	}
	pb.Proposed, pb.Activate, pb.Designated = configurationPB(m.Proposed), m.Activate, int32(m.Designated)
	pb.Committed = configurationPB(m.Membership.Committed)
	if m.Membership.Seen != m.Membership.Committed {
		pb.Seen = configurationPB(m.Membership.Seen)
	}
	return pb
}

func configurationPB(e *quorum.Ensemble) *zabpb.Configuration {
	if e == nil {
		return nil
	}
	return &zabpb.Configuration{Version: int64(e.Version()), Text: e.String()}
}

func notificationPB(n *fle.Notification) *zabpb.Notification {
	return &zabpb.Notification{
		From: int32(n.From), To: int32(n.To), State: zabpb.State(zabpb.State_value["STATE_"+n.State.String()]),
		Leader: int32(n.Vote.Leader), Zxid: int64(n.Vote.Zxid), Epoch: uint32(n.Vote.Epoch),
		Round: n.Round, Configuration: configurationPB(n.Config),
		Pending: configurationPB(n.Pending), Incarnation: id16PB(n.Life), Noted: int64(n.Noted),
	}
}

func helloPB(h *peerwire.Hello) *zabpb.Hello {
	return &zabpb.Hello{
		Version: h.Version, Sid: int32(h.SID), To: int32(h.To), Channel: zabpb.Channel(h.Channel),
		Cluster: id16PB(h.Cluster), Incarnation: id16PB(h.Incarnation), Config: int64(h.Config),
		Refusal: zabpb.Refusal(h.Refusal), Keep: h.Keep,
	}
}
