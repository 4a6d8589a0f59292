package server

import (
	"sync"

	"github.com/zabkeeper/zabkeeper/proto"
)

// A session id is the byte of its server and, below it, a number made from the clock: ms in the upper
// 40 bits, of which the highest are cut off, so that the numbers start over every 35 years.
const (
	idNumbers = 1 << 56
	// idBlock is how many numbers are reserved at once: those of a minute.
	idBlock = 60_000 << 16
	// idMargin is how far a server whose notes are lost stays ahead of what it finds of its earlier ids: the numbers
	// of a day, as many as it reserves in more than a thousand starts.
	idMargin = 24 * 60 * 60_000 << 16
)

// sessionIDs gives out the ids of new sessions: those of the clock, and none twice, wherever the clock
// is put and however often the server starts (hazard H-69). A client that comes back with an id and
// the password that belongs to it would otherwise find the session of somebody else.
type sessionIDs struct {
	top     byte
	salt    uint16
	reserve func(through proto.SessionID) error // nil: nothing is noted

	mu sync.Mutex
	// last is the highest number that was given out, or might have been in an earlier life, if any was.
	last  uint64
	begun bool
	// reserved is the highest number that may be given out without another note, if noted.
	reserved uint64
	noted    bool
}

func newSessionIDs(cfg *Config) *sessionIDs {
	ids := &sessionIDs{top: cfg.SessionByte, salt: cfg.SessionSalt, reserve: cfg.ReserveIDs}
	if id := uint64(cfg.ReservedIDs); byte(id/idNumbers) == ids.top {
		ids.last, ids.begun = ids.beyond(id), true
	}
	return ids
}

// beyond returns a number somewhere in the block behind n. Where is up to the salt: a server that is set back to a copy of its
// data, or wiped, twice starts from the same note, or from the same living session, again.
func (ids *sessionIDs) beyond(n uint64) uint64 {
	return (n + uint64(ids.salt)*(idBlock>>16)) % idNumbers
}

// after reports whether number a comes behind b. What is near the end is followed by what is near
// the beginning.
func after(a, b uint64) bool {
	const near = idNumbers / 16
	switch {
	case a < near && b >= idNumbers-near:
		return true
	case b < near && a >= idNumbers-near:
		return false
	}
	return a > b
}

// resume makes ids begin behind that of a living session. It is behind what is noted only if the note is lost with the
// data directory: an earlier life, which has gone ahead of the clock by a block at each of its starts, may have given out
// the ids behind this one, too.
func (ids *sessionIDs) resume(id proto.SessionID) {
	ids.mu.Lock()
	defer ids.mu.Unlock()
	number := uint64(id) % idNumbers
	if byte(uint64(id)/idNumbers) == ids.top && (!ids.begun || after(number, ids.last)) {
		ids.last, ids.begun = ids.beyond(number+idMargin), true
	}
}

// next returns an id that was never given out. It may wait for the disk, and fails if that does.
func (ids *sessionIDs) next(nowMs int64) (proto.SessionID, error) {
	ids.mu.Lock()
	defer ids.mu.Unlock()
	id := ids.id(uint64(proto.InitialSessionID(nowMs, ids.top)) | uint64(ids.salt))
	if ids.begun && !after(uint64(id)%idNumbers, ids.last) {
		id = ids.id(ids.last + 1)
	}
	number := uint64(id) % idNumbers
	if ids.reserve != nil && (!ids.noted || after(number, ids.reserved)) {
		through := ids.id(number + idBlock)
		if err := ids.reserve(through); err != nil {
			return 0, err
		}
		ids.reserved, ids.noted = uint64(through)%idNumbers, true
	}
	ids.last, ids.begun = number, true
	return id, nil
}

// id returns the id with a number, or the next one if that is no session's.
func (ids *sessionIDs) id(number uint64) proto.SessionID {
	return (proto.SessionID(number%idNumbers|uint64(ids.top)*idNumbers) - 1).Next()
}
