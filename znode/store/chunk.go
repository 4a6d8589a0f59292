package store

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// ErrBadStream is the error of a snapshot stream that is damaged, cut short, out of order, or
// not a tree.
var ErrBadStream = errors.New("bad snapshot stream")

// Kinds of chunks.
const (
	chunkHeader  byte = 1
	chunkRecords byte = 2
	chunkTrailer byte = 3
)

const (
	chunkFrame = 4 + 4 // length and checksum
	chunkHead  = 1 + 4 // kind and number
	// streamVersion is the version of the chunks and of the records inside. A node record
	// carries its own version besides.
	streamVersion = 1
	streamMagic   = "ZKTR"
	headerLen     = len(streamMagic) + 1 + 8 + 8
	trailerLen    = appliedLen + 8 + 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// chunk is one decoded chunk.
type chunk struct {
	kind    byte
	number  uint32
	payload []byte // shares the memory of what it was decoded from
}

// beginChunk starts a chunk; the payload is appended to what it returns.
func beginChunk(dst []byte, kind byte, number uint32) []byte {
	dst = append(dst, make([]byte, chunkFrame)...)
	return binary.BigEndian.AppendUint32(append(dst, kind), number)
}

// endChunk completes a chunk that occupies all of b.
func endChunk(b []byte) {
	body := b[chunkFrame:]
	binary.BigEndian.PutUint32(b, uint32(len(body)))
	binary.BigEndian.PutUint32(b[4:], crc32.Checksum(body, castagnoli))
}

var (
	errChunkLength   = errors.New("chunk of another length than it says")
	errChunkChecksum = errors.New("chunk checksum differs")
	errChunkKind     = errors.New("unknown kind of chunk")
	errChunkHeader   = errors.New("malformed header")
	errChunkTrailer  = errors.New("malformed trailer")
	errChunkRecord   = errors.New("malformed record")
)

// decodeChunk reads exactly one chunk.
func decodeChunk(b []byte) (chunk, error) {
	if len(b) < chunkFrame+chunkHead || uint64(binary.BigEndian.Uint32(b)) != uint64(len(b)-chunkFrame) {
		return chunk{}, errChunkLength
	}
	body := b[chunkFrame:]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(b[4:]) {
		return chunk{}, errChunkChecksum
	}
	c := chunk{kind: body[0], number: binary.BigEndian.Uint32(body[1:]), payload: body[chunkHead:]}
	if c.kind < chunkHeader || c.kind > chunkTrailer {
		return chunk{}, errChunkKind
	}
	return c, nil
}

func appendHeader(dst []byte, at zxid.Point) []byte {
	dst = append(append(dst, streamMagic...), streamVersion)
	dst = binary.BigEndian.AppendUint64(dst, uint64(at.ID))
	return binary.BigEndian.AppendUint64(dst, at.Hash)
}

func decodeHeader(payload []byte) (zxid.Point, error) {
	if len(payload) < headerLen || string(payload[:len(streamMagic)]) != streamMagic {
		return zxid.Point{}, errChunkHeader
	}
	if payload[len(streamMagic)] != streamVersion {
		return zxid.Point{}, ErrFormat
	}
	if len(payload) != headerLen {
		return zxid.Point{}, errChunkHeader
	}
	r := reader{buf: payload[len(streamMagic)+1:]}
	return zxid.Point{ID: zxid.ID(r.uint64()), Hash: r.uint64()}, nil
}

// trailer is what a stream must come to.
type trailer struct {
	totals  Totals
	records uint64
	hash    uint64 // of the payloads of all record chunks, one after the other
}

func (t *trailer) append(dst []byte) []byte {
	dst = t.totals.append(dst, appliedUnmarked)
	dst = binary.BigEndian.AppendUint64(dst, t.records)
	return binary.BigEndian.AppendUint64(dst, t.hash)
}

func (t *trailer) decode(payload []byte) error {
	if len(payload) != trailerLen {
		return errChunkTrailer
	}
	if err := t.totals.decode(payload[:appliedLen], appliedUnmarked); err != nil {
		return err
	}
	r := reader{buf: payload[appliedLen:]}
	t.records, t.hash = r.uint64(), r.uint64()
	return nil
}

func appendRecord(dst, key, value []byte) []byte {
	dst = append(binary.AppendUvarint(dst, uint64(len(key))), key...)
	return append(binary.AppendUvarint(dst, uint64(len(value))), value...)
}

// record takes a record off the payload of a records chunk; the slices share its memory.
func (c *chunk) record() (key, value []byte, err error) {
	r := reader{buf: c.payload}
	key, value = r.bytes(), r.bytes()
	if r.err != nil || len(key) == 0 {
		return nil, nil, errChunkRecord
	}
	c.payload = r.buf
	return key, value, nil
}
