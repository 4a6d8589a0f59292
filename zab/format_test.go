package zab_test

import (
	"fmt"
	"strings"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
)

func formatEntries(entries []zab.Entry) string {
	switch len(entries) {
	case 0:
		return "nothing"
	case 1:
		return entries[0].ID.String()
	}
	return fmt.Sprintf("%v..%v", entries[0].ID, entries[len(entries)-1].ID)
}

func formatMessage(m zab.Message) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v", m.Kind)
	add := func(format string, args ...any) { fmt.Fprintf(&b, " "+format, args...) }
	switch m.Kind {
	case zab.FollowerInfo, zab.ObserverInfo:
		add("accepted=%d life=%v", m.Epoch, m.Incarnation)
	case zab.LeaderInfo:
		add("epoch=%d", m.Epoch)
	case zab.AckEpoch:
		add("epoch=%d current=%d fresh=%v history=%v", m.Epoch, m.Current, m.Fresh, m.History)
	case zab.Diff, zab.Trunc, zab.Snap, zab.NewLeader:
		add("epoch=%d at=%v", m.Epoch, m.Point.ID)
	case zab.Proposal, zab.Inform:
		add("%s", formatEntries(m.Entries))
	case zab.Commit, zab.Ack, zab.UpToDate:
		add("%v", m.Zxid)
	case zab.Ping:
		add("seq=%d", uint32(m.Seq))
		if round := m.Seq >> 32; round > 0 {
			add("round=%d", round)
		}
	default:
		add("%q", m.Data)
	}
	if m.Proposed != nil {
		add("proposes=%v", m.Proposed.Voters())
	}
	if m.Activate {
		add("activate leader=%v", m.Designated)
	}
	if m.Membership.Pending() {
		add("pending=%v", m.Membership.Seen.Voters())
	}
	if m.NeedSnap {
		add("needsnap")
	}
	if m.Untrusted {
		add("untrusted")
	}
	if len(m.Known) > 0 {
		add("known=%s", formatKnown(m.Known))
	}
	return b.String()
}

func formatKnown(known []zab.Known) string {
	var parts []string
	for _, k := range known {
		text := fmt.Sprintf("%v:%v", k.SID, k.Incarnation)
		if k.Acked != 0 {
			text += fmt.Sprintf(":%v", k.Acked)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ",")
}

func formatPersist(p *zab.Persist) string {
	parts := []string{fmt.Sprintf("#%d", p.Token)}
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if p.Promise != nil {
		add("promise %d to %v", p.Promise.Epoch, p.Promise.Leader)
	}
	if p.Install != nil {
		add("install %v", p.Install.ID)
	}
	if p.Truncate != nil {
		add("truncate %v", p.Truncate.ID)
	}
	if len(p.Append) > 0 {
		add("append %s", formatEntries(p.Append))
	}
	if p.Current != nil {
		add("currentEpoch=%d", *p.Current)
	}
	if !p.Cluster.IsZero() {
		add("cluster=%v", p.Cluster)
	}
	if p.Known != nil {
		add("known=%s", formatKnown(p.Known))
	}
	if !p.Membership.IsZero() {
		add("membership=%s", formatMembership(p.Membership))
	}
	return strings.Join(parts, ", ")
}

func formatMembership(m quorum.Membership) string {
	text := fmt.Sprintf("%v@%v", m.Committed.Voters(), m.Committed.Version())
	if m.Pending() {
		text += fmt.Sprintf("+%v@%v", m.Seen.Voters(), m.Seen.Version())
	}
	return text
}

func formatStream(s zab.Stream) string {
	if s.Snapshot {
		return fmt.Sprintf("stream snapshot to %v", s.To)
	}
	return fmt.Sprintf("stream (%v, %v] to %v", s.From, s.UpTo, s.To)
}

var eventNames = map[zab.EventKind]string{
	zab.EventPhase: "phase", zab.EventEpoch: "epoch", zab.EventSync: "sync", zab.EventSynced: "synced",
	zab.EventDropped: "dropped", zab.EventStopped: "stopped", zab.EventRefused: "refused", zab.EventDivergence: "DIVERGENCE",
	zab.EventReconfig: "reconfig",
}

func formatEvent(e zab.Event) string {
	peer := ""
	if e.Peer != quorum.None && e.Kind != zab.EventPhase && e.Kind != zab.EventStopped {
		peer = fmt.Sprintf(" %v", e.Peer)
	}
	at := ""
	if e.Kind == zab.EventEpoch {
		at = fmt.Sprintf(" (epoch %d)", e.Zxid.Epoch())
	}
	return fmt.Sprintf("event %s%s: %s%s", eventNames[e.Kind], peer, e.Text, at)
}
