package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Manifests and write-ahead logs of Pebble are records in blocks; each record is cut into
// chunks, none of which crosses a block. A checksum covers what follows the length:
//
//	checksum u32 | length u16 | kind u8 | data                                          kinds 1-4
//	checksum u32 | length u16 | kind u8 | file's number u32 | data                       kinds 5-8
//	checksum u32 | length u16 | kind u8 | file's number u32 | synced offset u64 | data   kinds 9-12
//
// What a block has no room for is zeroed. A log that was closed ends with a chunk of the next
// number.
const (
	chunkBlock    = 32 << 10
	plainHeader   = 7
	numberHeader  = 11
	syncHeader    = 19
	lastPlain     = 4
	lastNumbered  = 8
	lastWithSyncs = 12
)

// chunk is a sound chunk.
type chunk struct {
	size   int
	number uint32 // of the file; 0: the chunk does not say
	synced int64  // what the chunk knows to be synced; -1: nothing
}

// parseChunk returns the chunk that b begins with, if it is sound.
func parseChunk(b []byte) (c chunk, ok bool) {
	if len(b) < plainHeader {
		return c, false
	}
	header := plainHeader
	switch kind := b[6]; {
	case kind == 0 || kind > lastWithSyncs:
		return c, false
	case kind > lastNumbered:
		header = syncHeader
	case kind > lastPlain:
		header = numberHeader
	}
	c = chunk{size: header + int(binary.LittleEndian.Uint16(b[4:])), synced: -1}
	if c.size > len(b) || binary.LittleEndian.Uint32(b) != masked(crc32.Checksum(b[6:c.size], castagnoli)) {
		return c, false
	}
	if header >= numberHeader {
		c.number = binary.LittleEndian.Uint32(b[7:])
	}
	if header == syncHeader {
		c.synced = int64(binary.LittleEndian.Uint64(b[11:]))
	}
	return c, true
}

// masked is a checksum as Pebble stores it.
func masked(sum uint32) uint32 { return (sum>>15 | sum<<17) + 0xa282ead8 }

// checkManifest reads every chunk of a manifest. One that is damaged and has sound ones
// behind it is damage; without any, it is what a crash leaves of a write that nobody relied on:
// Pebble syncs each record before it writes the next.
func checkManifest(fsys vfs.FS, path string) error {
	return checkChunks(fsys, path, 0, func(chunk, int64) bool { return true })
}

// checkWAL reads every chunk of the newest write-ahead log in dir. One that is damaged and
// that a later one says to have been synced is damage; without such, it is what a crash leaves.
// Pebble itself looks for such a later one from the next block on alone.
func checkWAL(fsys vfs.FS, dir string) error {
	names, err := fsys.List(dir)
	if err != nil {
		return err
	}
	newest, number := "", uint64(0)
	for _, name := range names {
		base, ok := strings.CutSuffix(name, ".log")
		if n, err := strconv.ParseUint(base, 10, 32); ok && err == nil && n >= number {
			newest, number = name, n
		}
	}
	if newest == "" {
		return nil
	}
	return checkChunks(fsys, fsys.PathJoin(dir, newest), uint32(number), func(c chunk, bad int64) bool { return c.synced > bad })
}

// checkChunks looks for the first chunk of a file that is not sound, or is another file's, and
// then for one behind it that proves it to be damaged. number is the file's, 0 if its chunks
// do not say.
func checkChunks(fsys vfs.FS, path string, number uint32, proves func(c chunk, bad int64) bool) error {
	f, err := fsys.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	bad := int64(-1)
	buf := make([]byte, chunkBlock)
	for start := int64(0); ; start += chunkBlock {
		n, err := f.ReadAt(buf, start)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		block, at := buf[:n], 0
		if bad < 0 {
			var end bool
			if at, end = soundChunks(block, number); end {
				return nil
			}
			if at < n {
				bad = start + int64(at)
			}
		}
		for ; bad >= 0 && at < n; at++ {
			if c, ok := parseChunk(block[at:]); ok && c.number == number && proves(c, bad) {
				return &FileError{
					Op: "read", Path: path, Offset: bad,
					Err: fmt.Errorf("%w: this record is not what was written, later ones are", ErrDamaged),
				}
			}
		}
		if n < chunkBlock {
			return nil
		}
	}
}

// soundChunks returns where the sound chunks of a block end, its length if all are, and
// whether the file ends there in order.
func soundChunks(block []byte, number uint32) (at int, end bool) {
	for at < len(block) {
		c, ok := parseChunk(block[at:])
		switch {
		case ok && c.number == number:
			at += c.size
		case ok && number != 0 && c.number == number+1:
			return at, true
		case !ok && len(block)-at < syncHeader && allZero(block[at:]):
			return len(block), false
		default:
			return at, false
		}
	}
	return at, false
}

func allZero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}
