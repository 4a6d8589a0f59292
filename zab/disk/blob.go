package disk

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
)

// The end of Pebble's blob files: a checksum over what follows it, the place of the index, the
// kind of checksum, the format, the file's first number, and eight bytes that say that it is
// one.
const (
	blobFooter = 38
	blobMagic  = "\xf0\x9f\xaa\xb3\xf0\x9f\xa6\x80"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checkBlob refuses a blob file whose end is damaged before Pebble v2.1.7 sees it: there that
// is not an error but a panic in whoever reads, compactions included. A damaged block in the
// middle is an error, as in any table.
func (g *Guard) checkBlob(f *readFile) error {
	if !strings.HasSuffix(f.path, ".blob") {
		return nil
	}
	info, err := f.Stat()
	if err != nil {
		return &FileError{Op: "read", Path: f.path, Offset: -1, Err: err}
	}
	at := info.Size() - blobFooter
	var b [blobFooter]byte
	if at >= 0 {
		if _, err := f.ReadAt(b[:], at); err != nil {
			return err
		}
		if binary.LittleEndian.Uint32(b[:]) == masked(crc32.Checksum(b[4:], castagnoli)) && string(b[blobFooter-len(blobMagic):]) == blobMagic {
			return nil
		}
	}
	return &FileError{
		Op: "read", Path: f.path, Offset: max(at, 0),
		Err: fmt.Errorf("%w: the footer of this blob file of %d bytes is not what was written", ErrDamaged, info.Size()),
	}
}
