package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Inspect looks at a directory before Pebble does, and refuses what Pebble would take for less
// than it is: tables without the manifest that names them would be an empty store, and
// would be deleted (hazard H-20); a manifest with a damaged record in its middle would be one that ends there, an
// older state of the store (hazard H-94). fresh: there is no store. Errors that have a kind wrap it.
func Inspect(fsys vfs.FS, dir string) (fresh bool, err error) {
	desc, err := pebble.Peek(dir, fsys)
	if err != nil {
		return false, err
	}
	if desc.Exists {
		switch err := checkManifest(fsys, desc.ManifestFilename); {
		case err == nil:
			return false, checkOptions(fsys, dir, desc.OptionsFilename)
		case !errors.Is(err, fs.ErrNotExist):
			return false, err
		}
	}
	names, err := fsys.List(dir)
	if err != nil {
		return false, err
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".log") || strings.HasSuffix(name, ".blob") {
			return false, fmt.Errorf("%w: %s is there, the manifest is not", ErrDamaged, fsys.PathJoin(dir, name))
		}
	}
	return true, forgetMarkers(fsys, dir, names)
}

// forgetMarkers removes what a crash amid the creation of a store may have left: the name
// of a manifest without the manifest. Pebble starts anew then.
func forgetMarkers(fsys vfs.FS, dir string, names []string) error {
	for _, name := range names {
		if strings.HasPrefix(name, "marker.manifest.") {
			if err := fsys.Remove(fsys.PathJoin(dir, name)); err != nil {
				return err
			}
		}
	}
	d, err := fsys.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// checkOptions refuses an OPTIONS file that Pebble could not read: it holds nothing that the
// store needs, but Pebble does not go on without understanding it.
func checkOptions(fsys vfs.FS, dir, path string) error {
	if path == "" {
		return nil
	}
	f, err := fsys.Open(path)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	o := &pebble.Options{}
	o.EnsureDefaults()
	o.Unsafe.AllowMissingWALDirs = true // the owner's business
	o.Logger = silent{}
	if err := o.CheckCompatibility(dir, string(text)); err != nil {
		return &FileError{Op: "read", Path: path, Offset: -1, Err: fmt.Errorf("%w: %w; this file holds no data and may be removed", ErrDamaged, err)}
	}
	return nil
}

// silent swallows what Pebble says of options.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(string, ...any) {}

// A manifest is a file of records in blocks; each record is cut into chunks, none of which
// crosses a block:
//
//	checksum u32 | length u16 | kind u8 | data; the checksum covers kind and data
const (
	manifestBlock = 32 << 10
	chunkHeader   = 7
	maxChunkKind  = 4
)

// checkManifest reads every chunk of a manifest. A chunk that is damaged and has sound ones
// behind it is damage; without any, it is what a crash leaves of a write that nobody relied on.
func checkManifest(fsys vfs.FS, path string) error {
	f, err := fsys.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	bad := int64(-1) // offset of the first damaged chunk
	buf := make([]byte, manifestBlock)
	for start := int64(0); start < info.Size(); start += manifestBlock {
		block := buf[:min(manifestBlock, info.Size()-start)]
		if _, err := f.ReadAt(block, start); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		at := 0
		if bad < 0 {
			at = soundChunks(block)
			if at == len(block) {
				continue
			}
			bad = start + int64(at)
		}
		if hasChunk(block[at:]) {
			return &FileError{
				Op: "read", Path: path, Offset: bad,
				Err: fmt.Errorf("%w: a record of the manifest is not what was written", ErrDamaged),
			}
		}
	}
	return nil
}

// soundChunks returns where the sound chunks of a block end: its length if all are.
func soundChunks(block []byte) int {
	at := 0
	for len(block)-at >= chunkHeader {
		n, ok := chunk(block[at:])
		if !ok {
			return at
		}
		at += n
	}
	return len(block)
}

// hasChunk reports whether there is a sound chunk anywhere in b.
func hasChunk(b []byte) bool {
	for ; len(b) >= chunkHeader; b = b[1:] {
		if _, ok := chunk(b); ok {
			return true
		}
	}
	return false
}

// chunk returns the length of the chunk that b begins with, and whether it is sound.
func chunk(b []byte) (n int, ok bool) {
	n = chunkHeader + int(binary.LittleEndian.Uint16(b[4:]))
	if b[6] == 0 || b[6] > maxChunkKind || n > len(b) {
		return 0, false
	}
	return n, binary.LittleEndian.Uint32(b) == masked(crc32.Checksum(b[6:n], castagnoli))
}

// masked is a checksum as Pebble stores it.
func masked(sum uint32) uint32 { return (sum>>15 | sum<<17) + 0xa282ead8 }
