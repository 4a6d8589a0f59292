package disk

import (
	"errors"
	"fmt"
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
			return false, errors.Join(checkOptions(fsys, dir, desc.OptionsFilename), checkWAL(fsys, dir))
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
