package server_test

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
)

// Tests of spec semantics 16 that a script cannot say; the others are named after their number in
// testdata/scripts.

// A wrong password is answered byte for byte like an expired session.
func TestPitfall03WrongPasswordLooksExpired(t *testing.T) {
	w := newTwin(t, 2, nil)
	leader, follower := w.members[0], w.members[1]
	expired := follower.dial(t)
	expired.open(proto.ConnectRequest{TimeOut: 200})
	living := follower.connect(t)
	for range 4 {
		leader.ticks <- time.Time{}
	}
	expired.closed()
	for _, m := range w.members {
		for _, readOnly := range []bool{false, true} {
			gone, wrong := m.dial(t), m.dial(t)
			want := gone.open(proto.ConnectRequest{
				TimeOut: 1000, SessionID: expired.session, Passwd: expired.passwd[:], HasReadOnly: readOnly,
			})
			got := wrong.open(proto.ConnectRequest{
				TimeOut: 1000, SessionID: living.session, Passwd: make([]byte, proto.PasswordLen), HasReadOnly: readOnly,
			})
			if !bytes.Equal(got, want) || wrong.session != 0 || wrong.timeout != 0 {
				t.Errorf("%v: wrong password %x, expired session %x", m, got, want)
			}
			if a, b := gone.closed(), wrong.closed(); len(a)+len(b) > 0 {
				t.Errorf("%v: %x and %x behind the refusals", m, a, b)
			}
		}
	}
	living.must(proto.OpPing, nil)
}

// Passwords are 16 bytes that every server computes alike, with java.util.Random's generator.
func TestPitfall05PasswordIsComputedFromTheID(t *testing.T) {
	w := newTwin(t, 3, nil)
	for _, m := range w.members {
		c := m.connect(t)
		const mask = 1<<48 - 1
		seed := (uint64(c.session) ^ 0xB3415C00 ^ 0x5DEECE66D) & mask
		var want []byte
		for range 4 {
			seed = (seed*0x5DEECE66D + 0xB) & mask
			want = binary.LittleEndian.AppendUint32(want, uint32(seed>>16))
		}
		if !bytes.Equal(c.passwd[:], want) {
			t.Errorf("%v: password %x of session %v, want %x", m, c.passwd, c.session, want)
		}
		for _, other := range w.members {
			again := other.dial(t)
			again.open(proto.ConnectRequest{TimeOut: 1000, SessionID: c.session, Passwd: want})
			if again.session != c.session || !bytes.Equal(again.passwd[:], want) {
				t.Errorf("%v answers session %v, password %x to a session of %v", other, again.session, again.passwd, m)
			}
		}
	}
}
