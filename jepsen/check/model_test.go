package check_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
)

// twin is a register that is right by construction: each operation takes effect at one moment
// between its call and its return. With losses some answers are lost: such an operation takes effect
// at its moment, later, or never.
func twin(t *rapid.T, lossy bool) []check.Op {
	type pending struct {
		op check.Op
		at int64 // when it takes effect, -1 never
	}
	var all []pending
	free := [4]int64{} // when each client is free again
	for i := range rapid.IntRange(5, 60).Draw(t, "operations") {
		client := rapid.IntRange(0, len(free)-1).Draw(t, "client")
		call := free[client] + 1 + rapid.Int64Range(0, 9).Draw(t, "pause")
		at := call + rapid.Int64Range(0, 9).Draw(t, "delay")
		ret := at + rapid.Int64Range(0, 9).Draw(t, "answer")
		o := check.Op{
			Client: client, Session: int64(client + 1), Key: "/k", Value: fmt.Sprint("v", i), Call: call, Return: ret, Outcome: check.OK,
			Kind: rapid.SampledFrom([]check.Kind{check.KindSet, check.KindSet, check.KindCAS, check.KindSyncGet, check.KindGet}).Draw(t, "kind"),
		}
		free[client] = ret
		if lossy && rapid.IntRange(0, 7).Draw(t, "lost") == 0 {
			o.Outcome = check.Info
			at = rapid.SampledFrom([]int64{-1, at, ret + 15}).Draw(t, "effect")
			free[client] += 20 // the session goes on elsewhere, later
		}
		all = append(all, pending{o, at})
	}
	slices.SortStableFunc(all, func(a, b pending) int { return int(a.at - b.at) })
	state := check.Op{Value: check.RegisterInit, Stat: check.Stat{Mzxid: 10}}
	zxid := int64(10)
	var h []check.Op
	for _, p := range all {
		o := p.op
		if o.Kind == check.KindCAS {
			o.Expect = state.Stat.Version - int32(rapid.IntRange(0, 1).Draw(t, "behind"))
		}
		switch applies := p.at >= 0; {
		case o.Kind == check.KindSyncGet || o.Kind == check.KindGet:
			o.Value, o.Stat, o.Zxid = state.Value, state.Stat, zxid
		case o.Kind == check.KindCAS && o.Expect != state.Stat.Version && o.Outcome == check.OK:
			o.Outcome, o.Refused = check.Fail, true
		case applies && (o.Kind == check.KindSet || o.Expect == state.Stat.Version):
			zxid++
			state = check.Op{Value: o.Value, Stat: check.Stat{Mzxid: zxid, Version: state.Stat.Version + 1}}
			o.Stat, o.Zxid = state.Stat, zxid
		}
		if o.Outcome == check.Info {
			o.Stat, o.Zxid = check.Stat{}, 0
		}
		h = append(h, o)
	}
	return h
}

func judge(h []check.Op) []check.Violation {
	v, _ := check.Register(h, check.RegisterOptions{SyncGets: true, Timeout: time.Minute})
	return slices.Concat(v, check.WriteOrder(h), check.Reads(h, check.ReadOptions{SyncGets: true, Exact: true}), check.Sessions(h))
}

// A history that is right by construction passes, whatever was lost and whenever it took effect.
func TestARightServerPasses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if v := judge(twin(t, true)); len(v) > 0 {
			t.Fatalf("a right history was refused: %v", v)
		}
	})
}

// One wrong answer in a right history is found.
func TestOneWrongAnswerIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := twin(t, false) // a loss can explain many a lie
		var sets, reads []int
		for i, o := range h {
			switch {
			case o.Outcome != check.OK:
			case o.Kind == check.KindSet || o.Kind == check.KindCAS:
				sets = append(sets, i)
			default:
				reads = append(reads, i)
			}
		}
		if len(sets) < 2 || len(reads) < 1 {
			return // too little happened
		}
		set := rapid.SampledFrom(sets).Draw(t, "set")
		read := rapid.SampledFrom(reads).Draw(t, "read")
		lie := rapid.SampledFrom([]string{"version", "zxid of another", "value", "not done", "older"}).Draw(t, "lie")
		switch lie {
		case "version":
			h[set].Stat.Version++
		case "zxid of another":
			other := sets[(slices.Index(sets, set)+1)%len(sets)]
			h[set].Stat.Mzxid, h[set].Zxid = h[other].Stat.Mzxid, h[other].Zxid
		case "value":
			h[read].Value = "never written"
		case "not done":
			if !slices.ContainsFunc(h, func(o check.Op) bool { return isRead(o) && o.Value == h[set].Value }) {
				return // nobody read it
			}
			h[set].Outcome = check.Fail
		case "older":
			h[read].Zxid = h[read].Stat.Mzxid - 1
		}
		if v := judge(h); len(v) == 0 {
			t.Fatalf("%s of operation %d or %d: not found in %v", lie, set, read, h)
		}
	})
}

func isRead(o check.Op) bool {
	return o.Outcome == check.OK && (o.Kind == check.KindGet || o.Kind == check.KindSyncGet)
}
