package server_test

import (
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server"
)

// A server that has lost its data, and with it the note of the ids that it has given out, finds living sessions of an
// earlier life, which was ahead of the clock. What that life gave out besides, and has ended, nobody may get [H-69].
func TestLostNotesOfSessionIDs(t *testing.T) {
	const top = 5
	for living := range 12 { // the session that lives, of those that were there
		var noted proto.SessionID
		var given []proto.SessionID
		seen := map[proto.SessionID]bool{}
		now := int64(1_700_000_000_000)
		take := func(next func(int64) (proto.SessionID, error)) {
			now += 700
			id, err := next(now)
			if err != nil || seen[id] {
				t.Fatalf("session %d lives: %v is given out again, or %v", living, id, err)
			}
			seen[id] = true
			given = append(given, id)
		}
		life := func(ids int) {
			_, next := server.SessionIDs(&server.Config{
				SessionByte: top, ReservedIDs: noted,
				ReserveIDs: func(through proto.SessionID) error { noted = through; return nil },
			})
			for range ids {
				take(next)
			}
		}
		for range 3 {
			life(4)
		}
		// Its notes are lost, and so are, the next time, those of what it gave out since.
		for salt := range uint16(3) {
			resume, next := server.SessionIDs(&server.Config{SessionByte: top, SessionSalt: salt})
			resume(given[living])
			for range 40 {
				take(next)
			}
		}
	}
}
