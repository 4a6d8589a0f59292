package txnlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// Layout of keys and records; drawn in doc.go.
const (
	prefixLog  = 'l'
	prefixMeta = 'm'

	logKeyLen   = 1 + 4 + 8
	entryHeader = 1 + 8 + 8 // format, prev, hash
	recordFrame = 1 + 2 + 4 // format, length, checksum

	// Formats written by this version; a higher one is refused.
	formatEntry  = 1
	formatRecord = 1
)

// kind names a family of metadata records: the second byte of its key.
type kind byte

const (
	kindIdentity  kind = 'i'
	kindEpochs    kind = 'e'
	kindHistory   kind = 'h'
	kindKnown     kind = 'k'
	kindIntent    kind = 's'
	kindMembers   kind = 'c'
	kindReserved  kind = 'r'
	kindWatermark kind = 'w' // not a key: the WATERMARK file
	kindBackup    kind = 'b' // not a key: the files SECONDARY and PRIMARY
)

// key returns the Pebble key of the family.
func (k kind) key() []byte { return []byte{prefixMeta, byte(k)} }

// Reasons why stored bytes cannot be used.
var (
	errRecord = errors.New("malformed record")
	errNewer  = errors.New("record of a newer format")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// putLogKey fills dst, which is logKeyLen long.
func putLogKey(dst []byte, gen uint32, id zxid.ID) {
	_ = dst[logKeyLen-1]
	dst[0] = prefixLog
	binary.BigEndian.PutUint32(dst[1:], gen)
	binary.BigEndian.PutUint64(dst[5:], uint64(id))
}

// logKey returns the key of an entry. Zxids are never negative, so that the order of
// keys is the order of zxids inside a generation.
func logKey(gen uint32, id zxid.ID) []byte {
	k := make([]byte, logKeyLen)
	putLogKey(k, gen, id)
	return k
}

// parseLogKey is the inverse of logKey.
func parseLogKey(k []byte) (gen uint32, id zxid.ID, err error) {
	if len(k) != logKeyLen || k[0] != prefixLog {
		return 0, 0, fmt.Errorf("%w: key %x", errRecord, k)
	}
	id = zxid.ID(binary.BigEndian.Uint64(k[5:]))
	if id <= 0 || id.Counter() == 0 {
		return 0, 0, fmt.Errorf("%w: key %x is no transaction", errRecord, k)
	}
	return binary.BigEndian.Uint32(k[1:]), id, nil
}

// putEntry fills dst, which is entryHeader+len(e.Data) long.
func putEntry(dst []byte, e *zab.Entry) {
	dst[0] = formatEntry
	binary.BigEndian.PutUint64(dst[1:], uint64(e.Prev))
	binary.BigEndian.PutUint64(dst[9:], e.Hash)
	copy(dst[entryHeader:], e.Data)
}

// decodeEntry reads a log value. Data aliases v.
func decodeEntry(id zxid.ID, v []byte) (zab.Entry, error) {
	if len(v) < entryHeader {
		return zab.Entry{}, fmt.Errorf("%w: entry %v has %d bytes", errRecord, id, len(v))
	}
	if err := checkFormat(v[0], formatEntry); err != nil {
		return zab.Entry{}, fmt.Errorf("entry %v: %w", id, err)
	}
	return zab.Entry{
		ID:   id,
		Prev: zxid.ID(binary.BigEndian.Uint64(v[1:])),
		Hash: binary.BigEndian.Uint64(v[9:]),
		Data: v[entryHeader:],
	}, nil
}

func checkFormat(got, known byte) error {
	switch {
	case got > known:
		return fmt.Errorf("%w: %d, this version knows %d", errNewer, got, known)
	case got != known:
		return fmt.Errorf("%w: format %d", errRecord, got)
	}
	return nil
}

// seal puts fields into a record frame. The checksum also covers the family, so that
// records cannot be taken for one another.
func seal(k kind, fields []byte) []byte {
	r := make([]byte, 0, recordFrame+len(fields))
	r = append(r, formatRecord)
	r = binary.BigEndian.AppendUint16(r, uint16(len(fields)))
	r = append(r, fields...)
	return binary.BigEndian.AppendUint32(r, checksum(k, r))
}

func checksum(k kind, frame []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte{byte(k)}, castagnoli), castagnoli, frame)
}

// unseal checks a record frame and returns its fields.
func unseal(k kind, r []byte) ([]byte, error) {
	if len(r) < recordFrame {
		return nil, fmt.Errorf("%w %q: %d bytes", errRecord, k, len(r))
	}
	body := len(r) - 4
	if sum := binary.BigEndian.Uint32(r[body:]); sum != checksum(k, r[:body]) {
		return nil, fmt.Errorf("%w %q: checksum", errRecord, k)
	}
	if err := checkFormat(r[0], formatRecord); err != nil {
		return nil, fmt.Errorf("record %q: %w", k, err)
	}
	if n := int(binary.BigEndian.Uint16(r[1:])); n != body-3 {
		return nil, fmt.Errorf("%w %q: length %d of %d", errRecord, k, n, body-3)
	}
	return r[3:body], nil
}

// unsealSized is unseal for a family whose fields have a fixed length.
func unsealSized(k kind, r []byte, size int) ([]byte, error) {
	f, err := unseal(k, r)
	if err == nil && len(f) != size {
		err = fmt.Errorf("%w %q: %d bytes of fields, expected %d", errRecord, k, len(f), size)
	}
	return f, err
}

// identity says whose log this is.
type identity struct {
	sid         quorum.SID // quorum.None: a standalone server
	incarnation quorum.Incarnation
	cluster     quorum.ClusterID
}

const identityLen = 2 + 16 + 16

func (i *identity) encode() []byte {
	f := make([]byte, 0, identityLen)
	f = binary.BigEndian.AppendUint16(f, uint16(i.sid))
	f = append(f, i.incarnation[:]...)
	f = append(f, i.cluster[:]...)
	return seal(kindIdentity, f)
}

func decodeIdentity(r []byte) (i identity, err error) {
	f, err := unsealSized(kindIdentity, r, identityLen)
	if err != nil {
		return identity{}, err
	}
	i.sid = quorum.SID(binary.BigEndian.Uint16(f))
	copy(i.incarnation[:], f[2:])
	copy(i.cluster[:], f[18:])
	if !validSID(i.sid) || i.incarnation.IsZero() {
		return identity{}, fmt.Errorf("%w: identity of server %d", errRecord, i.sid)
	}
	return i, nil
}

func validSID(s quorum.SID) bool { return s >= quorum.None && s <= quorum.MaxSID }

// epochs are the promise and the current epoch, in one record so that they can only
// change together.
type epochs struct {
	promise zab.Promise
	current zxid.Epoch
}

const epochsLen = 4 + 2 + 4

func (e *epochs) encode() []byte {
	f := make([]byte, 0, epochsLen)
	f = binary.BigEndian.AppendUint32(f, uint32(e.promise.Epoch))
	f = binary.BigEndian.AppendUint16(f, uint16(e.promise.Leader))
	f = binary.BigEndian.AppendUint32(f, uint32(e.current))
	return seal(kindEpochs, f)
}

func decodeEpochs(r []byte) (e epochs, err error) {
	f, err := unsealSized(kindEpochs, r, epochsLen)
	if err != nil {
		return epochs{}, err
	}
	e.promise.Epoch = zxid.Epoch(binary.BigEndian.Uint32(f))
	e.promise.Leader = quorum.SID(binary.BigEndian.Uint16(f[4:]))
	e.current = zxid.Epoch(binary.BigEndian.Uint32(f[6:]))
	if !validSID(e.promise.Leader) || e.promise.Epoch > zxid.MaxEpoch || e.current > zxid.MaxEpoch {
		return epochs{}, fmt.Errorf("%w: epochs %+v", errRecord, e)
	}
	return e, nil
}

// history says which keys are the log, and where it starts.
type history struct {
	gen       uint32
	base      zxid.Point
	committed zxid.ID // a hint: at least this was committed
	untrusted bool    // acknowledged entries were found missing at an open
}

const (
	historyLen    = 4 + 8 + 8 + 8 + 1
	flagUntrusted = 1
)

func (h *history) encode() []byte {
	f := make([]byte, 0, historyLen)
	f = binary.BigEndian.AppendUint32(f, h.gen)
	f = appendPoint(f, h.base)
	f = binary.BigEndian.AppendUint64(f, uint64(h.committed))
	var flags byte
	if h.untrusted {
		flags |= flagUntrusted
	}
	return seal(kindHistory, append(f, flags))
}

func decodeHistory(r []byte) (h history, err error) {
	f, err := unsealSized(kindHistory, r, historyLen)
	if err != nil {
		return history{}, err
	}
	h.gen = binary.BigEndian.Uint32(f)
	h.base = parsePoint(f[4:])
	h.committed = zxid.ID(binary.BigEndian.Uint64(f[20:]))
	h.untrusted = f[28]&flagUntrusted != 0
	if h.base.ID < 0 || h.committed < 0 || f[28]&^flagUntrusted != 0 {
		return history{}, fmt.Errorf("%w: history %+v", errRecord, h)
	}
	return h, nil
}

func appendPoint(f []byte, p zxid.Point) []byte {
	f = binary.BigEndian.AppendUint64(f, uint64(p.ID))
	return binary.BigEndian.AppendUint64(f, p.Hash)
}

func parsePoint(f []byte) zxid.Point {
	return zxid.Point{ID: zxid.ID(binary.BigEndian.Uint64(f)), Hash: binary.BigEndian.Uint64(f[8:])}
}

const (
	knownLen  = 2 + 1 + 16 + 8
	ackedLen  = 8 // behind it, with flagAcked
	flagGone  = 1
	flagAcked = 2
)

func encodeKnown(known []zab.Known) []byte {
	f := make([]byte, 0, knownLen*len(known))
	for _, k := range known {
		f = binary.BigEndian.AppendUint16(f, uint16(k.SID))
		var flags byte
		if k.Gone {
			flags |= flagGone
		}
		if k.Acked != 0 {
			flags |= flagAcked
		}
		f = append(append(f, flags), k.Incarnation[:]...)
		f = binary.BigEndian.AppendUint64(f, uint64(k.Noted))
		if k.Acked != 0 {
			f = binary.BigEndian.AppendUint64(f, uint64(k.Acked))
		}
	}
	return seal(kindKnown, f)
}

func decodeKnown(r []byte) ([]zab.Known, error) {
	f, err := unseal(kindKnown, r)
	if err != nil {
		return nil, err
	}
	var known []zab.Known
	last := quorum.None
	for len(f) > 0 {
		if len(f) < knownLen || f[2]&flagAcked != 0 && len(f) < knownLen+ackedLen {
			return nil, fmt.Errorf("%w: known incarnations: %d bytes left", errRecord, len(f))
		}
		k := zab.Known{
			SID: quorum.SID(binary.BigEndian.Uint16(f)), Gone: f[2]&flagGone != 0,
			Noted: zxid.ID(binary.BigEndian.Uint64(f[19:])),
		}
		copy(k.Incarnation[:], f[3:])
		flags, rest := f[2], f[knownLen:]
		if flags&flagAcked != 0 {
			k.Acked, rest = zxid.ID(binary.BigEndian.Uint64(rest)), rest[ackedLen:]
		}
		if k.SID <= last || k.SID > quorum.MaxSID || flags&^(flagGone|flagAcked) != 0 || k.Noted < 0 || k.Acked < 0 {
			return nil, fmt.Errorf("%w: known incarnations: server %d after %d", errRecord, k.SID, last)
		}
		last, f = k.SID, rest
		known = append(known, k)
	}
	return known, nil
}

const intentLen = 16

func encodeIntent(p zxid.Point) []byte { return seal(kindIntent, appendPoint(nil, p)) }

func decodeIntent(r []byte) (zxid.Point, error) {
	f, err := unsealSized(kindIntent, r, intentLen)
	if err != nil {
		return zxid.Point{}, err
	}
	p := parsePoint(f)
	if p.ID < 0 {
		return zxid.Point{}, fmt.Errorf("%w: intent %v", errRecord, p)
	}
	return p, nil
}

// watermark is the content of the WATERMARK file: what this life of the store had durable.
type watermark struct {
	incarnation quorum.Incarnation
	at          zxid.Point
	promised    zxid.Epoch
}

const watermarkLen = 16 + 16 + 4

func (w *watermark) encode() []byte {
	f := append(make([]byte, 0, watermarkLen), w.incarnation[:]...)
	f = appendPoint(f, w.at)
	return seal(kindWatermark, binary.BigEndian.AppendUint32(f, uint32(w.promised)))
}

func decodeWatermark(r []byte) (w watermark, err error) {
	f, err := unsealSized(kindWatermark, r, watermarkLen)
	if err != nil {
		return watermark{}, err
	}
	copy(w.incarnation[:], f)
	w.at = parsePoint(f[16:])
	w.promised = zxid.Epoch(binary.BigEndian.Uint32(f[32:]))
	if w.at.ID < 0 || w.promised > zxid.MaxEpoch {
		return watermark{}, fmt.Errorf("%w: watermark %+v", errRecord, w)
	}
	return w, nil
}
