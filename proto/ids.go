package proto

import (
	"crypto/subtle"
	"encoding/binary"
	"fmt"
)

// Xid is the number a client gives to a request; the reply carries it back. The server
// echoes whatever arrives and never validates it (spec client-protocol 5).
type Xid int32

// The special xids. Only XidNotification and XidPing mean something to the server; the
// other two are habits of the Java, C and Python clients, and no rule may depend on them.
const (
	// XidNotification is in the header of a watch event.
	XidNotification Xid = -1
	// XidPing is in the reply to every ping, whatever xid the ping carried.
	XidPing Xid = -2
	// XidAuth is what most clients put into an auth request.
	XidAuth Xid = -4
	// XidSetWatches is what most clients put into a setWatches request.
	XidSetWatches Xid = -8
)

// SessionID names a session. The top byte is the id of the server that made it
// up; 0 is no session. Clients may send any 64-bit value.
type SessionID int64

// containerOwner is the one session id that is never given out: as an ephemeral owner
// it means "container node".
const containerOwner SessionID = -1 << 63

// String prints the id as ZooKeeper's logs and tools do: 0x100000e94310000.
func (id SessionID) String() string { return fmt.Sprintf("%#x", uint64(id)) }

// InitialSessionID returns the first session id that server sid hands out after
// starting at nowMs, milliseconds of the wall clock: sid in the top byte, the low 40 bits
// of nowMs below it, 16 zero bits (spec client-protocol 4.3). The following ids are
// made by Next. It is never 0. Wall-clock time may step back: the caller
// still has to skip above its own live sessions.
func InitialSessionID(nowMs int64, sid byte) SessionID {
	id := SessionID(uint64(nowMs)<<24>>8 | uint64(sid)<<56)
	return id.skipReserved()
}

// Next returns the session id after id, leaving out the values that name no session.
func (id SessionID) Next() SessionID { return (id + 1).skipReserved() }

func (id SessionID) skipReserved() SessionID {
	if id == 0 || id == containerOwner {
		return id + 1
	}
	return id
}

// PasswordLen is the length of a session password in bytes.
const PasswordLen = 16

// Parameters of the password generator, the linear congruential generator of
// java.util.Random, and the constant that is mixed into its seed.
const (
	passwordSecret = 0xB3415C00
	lcgMultiplier  = 0x5DEECE66D
	lcgIncrement   = 0xB
	lcgMask        = 1<<48 - 1
)

// Password returns the password of a session. It is computed from the id alone,
// by every server alike and bit for bit as Apache ZooKeeper does, so it protects against
// mistakes and not against an attacker (spec client-protocol 4.3).
func Password(id SessionID) [PasswordLen]byte {
	var p [PasswordLen]byte
	s := (uint64(id) ^ passwordSecret ^ lcgMultiplier) & lcgMask
	for i := 0; i < PasswordLen; i += 4 {
		s = (s*lcgMultiplier + lcgIncrement) & lcgMask
		binary.LittleEndian.PutUint32(p[i:], uint32(s>>16))
	}
	return p
}

// CheckPassword reports whether passwd is the password of session id. It takes the
// same time for every wrong password of the right length. No password fits id 0.
func CheckPassword(id SessionID, passwd []byte) bool {
	want := Password(id)
	return subtle.ConstantTimeCompare(want[:], passwd) == 1 && id != 0
}
