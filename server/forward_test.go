package server

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
)

func TestEnvelopesRoundTrip(t *testing.T) {
	ids := []proto.ID{{Scheme: "ip", ID: "127.0.0.1"}, {Scheme: "digest", ID: "u:x"}}
	who := newIdentity(ids, &Config{SkipACL: true})
	if len(who.judged) != 3 || len(who.ids) != 2 {
		t.Fatalf("identity %+v", who)
	}
	e := envelope{conn: 1, session: -2, cxid: -3, op: proto.OpMulti, timeout: 4, local: true, ids: who.encoded, body: []byte("body")}
	if got, err := decodeEnvelope(e.append(nil)); err != nil || !reflect.DeepEqual(got, e) {
		t.Errorf("envelope %+v: got %+v, %v", e, got, err)
	}
	if got, err := decodeIDs(who.encoded); err != nil || !reflect.DeepEqual(got, ids) {
		t.Errorf("identities: got %v, %v", got, err)
	}
	if n := len(e.append(nil)); n != envelopeLen+len(e.ids)+len(e.body) {
		t.Errorf("an envelope is %d bytes longer than its parts", n-len(e.ids)-len(e.body))
	}
	k := ticket{conn: 1 << 63, number: 7}
	if got, err := decodeTicket(k.encode()); err != nil || got != k {
		t.Errorf("ticket: got %+v, %v", got, err)
	}
	r := renewal{conn: 5, session: 6, timeout: 7}
	if got, err := decodeRenewal(r.encode()); err != nil || got != r {
		t.Errorf("renewal: got %+v, %v", got, err)
	}
	for _, n := range []notice{
		{renewal: r, alive: true},
		{renewal: r},
		{renewal: renewal{conn: 8, session: 9}, moved: true},
	} {
		if got, err := decodeNotice(n.encode()); err != nil || got != n {
			t.Errorf("notice %+v: got %+v, %v", n, got, err)
		}
	}
	var touched []proto.SessionID
	list := []proto.SessionID{1, -1, 1 << 62}
	if err := decodeTouch(encodeTouch(list), func(id proto.SessionID) { touched = append(touched, id) }); err != nil || !reflect.DeepEqual(touched, list) {
		t.Errorf("touches: got %v, %v", touched, err)
	}
}

// FuzzForward: no payload makes a decoder panic, and what one accepts it writes again.
func FuzzForward(f *testing.F) {
	who := newIdentity([]proto.ID{{Scheme: "ip", ID: "::1"}}, &Config{})
	e := envelope{conn: 1, session: 2, cxid: 3, op: proto.OpCreate, timeout: 4, ids: who.encoded, body: []byte("b")}
	f.Add(e.append(nil))
	f.Add(ticket{1, 2}.encode())
	f.Add(renewal{1, 2, 3}.encode())
	f.Add(notice{renewal: renewal{1, 2, 3}, alive: true}.encode())
	f.Add(notice{renewal: renewal{conn: 1, session: 2}, moved: true}.encode())
	f.Add(encodeTouch([]proto.SessionID{1, 2}))
	f.Add([]byte{})
	f.Add([]byte{envelopeVersion, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := decodeEnvelope(b); err == nil {
			if got, err := decodeEnvelope(e.append(nil)); err != nil || !reflect.DeepEqual(got, e) {
				t.Errorf("envelope %x: %+v, %v", b, got, err)
			}
			if ids, err := decodeIDs(e.ids); err == nil {
				if got, err := decodeIDs(newIdentity(ids, &Config{}).encoded); err != nil || !reflect.DeepEqual(got, ids) {
					t.Errorf("identities %x: %v, %v", e.ids, got, err)
				}
			}
		}
		if k, err := decodeTicket(b); err == nil && !bytes.HasPrefix(b, k.encode()) {
			t.Errorf("ticket %x: %+v", b, k)
		}
		if r, err := decodeRenewal(b); err == nil && !bytes.HasPrefix(b, r.encode()) {
			t.Errorf("renewal %x: %+v", b, r)
		}
		if n, err := decodeNotice(b); err == nil {
			if got, err := decodeNotice(n.encode()); err != nil || got != n {
				t.Errorf("notice %x: %+v, %v", b, got, err)
			}
		}
		var ids []proto.SessionID
		if decodeTouch(b, func(id proto.SessionID) { ids = append(ids, id) }) == nil && !bytes.Equal(encodeTouch(ids), b) {
			t.Errorf("touches %x: %v", b, ids)
		}
	})
}
