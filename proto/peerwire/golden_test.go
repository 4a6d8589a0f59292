package peerwire_test

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/proto/peerwire"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

var (
	cluster     = quorum.ClusterID{0xc1, 15: 0x01}
	incarnation = quorum.Incarnation{0x1c, 15: 0x02}
)

// samples are one message of every sort, with the fields that it really carries.
var samples = map[string][]byte{
	"hello": peerwire.AppendHello(nil, &peerwire.Hello{
		Version: 1, SID: 3, To: 1, Channel: peerwire.Election, Cluster: cluster, Incarnation: incarnation, Config: 0x100000000,
	}),
	"hello-refused": peerwire.AppendHello(nil, &peerwire.Hello{
		Version: 1, SID: 1, To: 3, Channel: peerwire.Learner, Refusal: peerwire.RefusedCluster,
	}),
	"hello-kept": peerwire.AppendHello(nil, &peerwire.Hello{
		Version: 1, SID: 3, To: 1, Channel: peerwire.Election, Cluster: cluster, Incarnation: incarnation, Keep: true,
	}),
	"notification": peerwire.AppendNotification(nil, &fle.Notification{
		From: 2, To: 255, State: fle.Looking, Vote: fle.Vote{Leader: 3, Zxid: 0x200000007, Epoch: 2}, Round: 300,
	}),
	"notification-abstaining": peerwire.AppendNotification(nil, &fle.Notification{
		From: 2, To: 1, State: fle.Observing, Vote: fle.Vote{Leader: quorum.None, Zxid: zxid.Untrusted},
	}),
	"notification-reconfiguring": peerwire.AppendNotification(nil, &fle.Notification{
		From: 2, To: 1, State: fle.Looking, Vote: fle.Vote{Leader: 2, Zxid: 0x200000007, Epoch: 2}, Round: 3,
		Config: ensemble(0x100000000, "1"), Pending: ensemble(0x200000007, "1", "2"), Life: incarnation, Noted: 0x200000001,
	}),
	"followerinfo": message(zab.Message{
		Kind: zab.FollowerInfo, From: 2, To: 3, Epoch: 1, Incarnation: incarnation, Cluster: cluster, Config: 4,
	}),
	"ackepoch": message(zab.Message{
		Kind: zab.AckEpoch, From: 2, To: 3, Epoch: 2, Current: 1, Fresh: true, NeedSnap: true, Untrusted: true,
		History: zab.Summary{Base: zxid.Point{ID: 0x100000001, Hash: 0xb}, Runs: []zab.Run{{Epoch: 1, Last: 9, Hash: 0xa}}},
	}),
	"newleader": message(zab.Message{
		Kind: zab.NewLeader, From: 3, To: 2, Epoch: 2, Point: zxid.Point{ID: 0x100000009, Hash: 0xa}, Cluster: cluster,
		Known: []zab.Known{{SID: 0}, {SID: 2, Incarnation: incarnation}},
	}),
	"newleader-reconfiguring": message(zab.Message{
		Kind: zab.NewLeader, From: 3, To: 2, Epoch: 2, Point: zxid.Point{ID: 0x200000007, Hash: 0xa},
		Known:      []zab.Known{{SID: 2, Incarnation: incarnation, Noted: 0x200000001, Acked: 0x100000009}},
		Membership: quorum.Membership{Committed: ensemble(0x100000000, "1"), Seen: ensemble(0x200000007, "1", "2")},
	}),
	"proposal": message(zab.Message{
		Kind: zab.Proposal, From: 3, To: 2, Epoch: 2,
		Entries: []zab.Entry{{ID: 0x200000001, Prev: 0x100000009, Hash: 0xc, Data: []byte("ab")}, {ID: 0x200000002, Prev: 0x200000001, Hash: 0xd}},
	}),
	"ack":       message(zab.Message{Kind: zab.Ack, From: 2, To: 3, Zxid: 0x200000002}),
	"commit":    message(zab.Message{Kind: zab.Commit, From: 3, To: 2, Epoch: 2, Zxid: 0x200000002}),
	"ping":      message(zab.Message{Kind: zab.Ping, From: 3, To: 2, Epoch: 2, Seq: 129}),
	"request":   message(zab.Message{Kind: zab.Request, From: 2, To: 3, Data: []byte("write")}),
	"snapchunk": message(zab.Message{Kind: zab.SnapChunk, From: 3, To: 2, Epoch: 2, Data: []byte("piece"), Done: true}),
}

// ensemble makes a configuration of voters.
func ensemble(version zxid.ID, sids ...string) *quorum.Ensemble {
	var text strings.Builder
	for _, sid := range sids {
		fmt.Fprintf(&text, "server.%s=s%s:2888:3888:participant\n", sid, sid)
	}
	e, err := quorum.ParseEnsemble(text.String())
	if err != nil {
		panic(err)
	}
	return e.WithVersion(version)
}

func message(m zab.Message) []byte { return peerwire.AppendMessage(nil, &m) }

// The bytes on the wire do not change by accident: servers of two releases speak to each other
// during every rolling upgrade.
func TestGolden(t *testing.T) {
	printed := 0
	datadriven.RunTest(t, "testdata/golden.txt", func(t *testing.T, d *datadriven.TestData) string {
		if d.Cmd != "encode" {
			t.Fatalf("unknown command %q", d.Cmd)
		}
		var out strings.Builder
		for _, name := range strings.Fields(d.Input) {
			b, ok := samples[name]
			if !ok {
				d.Fatalf(t, "no sample %q", name)
			}
			printed++
			fmt.Fprintf(&out, "%s: %s\n", name, hex.EncodeToString(b))
		}
		return out.String()
	})
	if printed != len(samples) {
		t.Errorf("%d of %d samples are in the file", printed, len(samples))
	}
}
