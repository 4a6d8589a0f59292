package txnlog

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// samples are one record of every family, with the decoder of the family.
func samples() map[kind]struct {
	bytes  []byte
	value  any
	decode func([]byte) (any, error)
	encode func(any) []byte
} {
	id := identity{sid: 7, incarnation: quorum.Incarnation{1, 2}, cluster: quorum.ClusterID{3}}
	ep := epochs{promise: zab.Promise{Epoch: 5, Leader: 2}, current: 4}
	hi := history{gen: 3, base: zxid.Point{ID: zxid.Make(2, 9), Hash: 1 << 63}, committed: zxid.Make(2, 11), untrusted: true}
	kn := []zab.Known{{SID: 0, Incarnation: quorum.Incarnation{1}, Noted: zxid.Make(3, 1), Acked: zxid.Make(2, 7)}, {SID: 255, Gone: true, Noted: 9}}
	committed, err := quorum.ParseEnsemble("server.1=a:1:2\nserver.2=b:1:2:observer\nversion=100000000")
	if err != nil {
		panic(err)
	}
	seen, err := quorum.ParseEnsemble("server.1=a:1:2;2181\nserver.3=c:1:2\ngroup.1=1:3\nversion=100000007")
	if err != nil {
		panic(err)
	}
	me := quorum.Membership{Committed: committed, Seen: seen}
	in := zxid.Point{ID: zxid.Make(8, 1), Hash: 99}
	wm := watermark{incarnation: quorum.Incarnation{8}, at: in, promised: 9}
	type sample = struct {
		bytes  []byte
		value  any
		decode func([]byte) (any, error)
		encode func(any) []byte
	}
	return map[kind]sample{
		kindIdentity: {
			id.encode(), id, func(r []byte) (any, error) { return decodeIdentity(r) },
			func(v any) []byte { i := v.(identity); return i.encode() },
		},
		kindEpochs: {
			ep.encode(), ep, func(r []byte) (any, error) { return decodeEpochs(r) },
			func(v any) []byte { e := v.(epochs); return e.encode() },
		},
		kindHistory: {
			hi.encode(), hi, func(r []byte) (any, error) { return decodeHistory(r) },
			func(v any) []byte { h := v.(history); return h.encode() },
		},
		kindKnown: {
			encodeKnown(kn), kn, func(r []byte) (any, error) { return decodeKnown(r) },
			func(v any) []byte { return encodeKnown(v.([]zab.Known)) },
		},
		kindMembers: {
			encodeMembers(me), me, func(r []byte) (any, error) { return decodeMembers(r) },
			func(v any) []byte { return encodeMembers(v.(quorum.Membership)) },
		},
		kindIntent: {
			encodeIntent(in), in, func(r []byte) (any, error) { return decodeIntent(r) },
			func(v any) []byte { return encodeIntent(v.(zxid.Point)) },
		},
		kindReserved: {
			encodeReserved(0x0300_0190_0000_0001), uint64(0x0300_0190_0000_0001), func(r []byte) (any, error) { return decodeReserved(r) },
			func(v any) []byte { return encodeReserved(v.(uint64)) },
		},
		kindWatermark: {
			wm.encode(), wm, func(r []byte) (any, error) { return decodeWatermark(r) },
			func(v any) []byte { w := v.(watermark); return w.encode() },
		},
	}
}

func TestRecordsRoundTrip(t *testing.T) {
	all := samples()
	for k, s := range all {
		got, err := s.decode(s.bytes)
		if err != nil || !reflect.DeepEqual(got, s.value) {
			t.Errorf("%q: got %+v, %v; want %+v", k, got, err, s.value)
		}
		for other, o := range all {
			if _, err := o.decode(s.bytes); other != k && err == nil {
				t.Errorf("a record %q was read as %q", k, other)
			}
		}
		for bit := range len(s.bytes) * 8 {
			r := bytes.Clone(s.bytes)
			r[bit/8] ^= 1 << (bit % 8)
			if _, err := s.decode(r); err == nil {
				t.Errorf("%q with bit %d flipped was accepted", k, bit)
			}
		}
	}
}

// FuzzRecord: no bytes make a decoder panic, and what it accepts it wrote.
func FuzzRecord(f *testing.F) {
	all := samples()
	for k, s := range all {
		f.Add(byte(k), s.bytes)
	}
	f.Fuzz(func(t *testing.T, k byte, r []byte) {
		s, ok := all[kind(k)]
		if !ok {
			return
		}
		// A fuzzer does not find checksums; the fields behind a right one are hostile, too.
		for _, r := range [][]byte{r, seal(kind(k), r[:min(len(r), 1<<16-1)])} {
			v, err := s.decode(r)
			if err == nil && !bytes.Equal(s.encode(v), r) {
				t.Fatalf("%q: %x decodes to %+v and encodes to %x", k, r, v, s.encode(v))
			}
		}
	})
}

// FuzzEntry does the same for log keys and values.
func FuzzEntry(f *testing.F) {
	e := zab.NewEntry(zxid.Point{}, zxid.Make(1, 1), []byte("data"))
	v := make([]byte, entryHeader+len(e.Data))
	putEntry(v, &e)
	f.Add(logKey(1, e.ID), v)
	f.Fuzz(func(t *testing.T, k, v []byte) {
		gen, id, err := parseLogKey(k)
		if err != nil {
			return
		}
		if again := logKey(gen, id); !bytes.Equal(again, k) {
			t.Fatalf("key %x is %d %v is %x", k, gen, id, again)
		}
		e, err := decodeEntry(id, v)
		if err != nil {
			return
		}
		again := make([]byte, entryHeader+len(e.Data))
		if putEntry(again, &e); !bytes.Equal(again, v) {
			t.Fatalf("value %x is %+v is %x", v, e, again)
		}
	})
}
