package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// kept is the file of a data directory that is not the server's own: it says who the server is.
const kept = "myid"

// Corrupt flips one bit in each of some bytes that lie together in one file below dir, chosen at
// random among those that hold at least one byte. It returns what it did, for people. The server
// must not run.
func Corrupt(dir string, r *rand.Rand) (string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || d.Name() == kept {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > 0 {
			files = append(files, name)
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("disk: corrupt: %w", err)
	}
	if len(files) == 0 {
		return "", fmt.Errorf("disk: nothing to corrupt in %s", dir)
	}
	name := files[r.IntN(len(files))]
	b, err := os.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("disk: corrupt: %w", err)
	}
	at, n := r.IntN(len(b)), 1+r.IntN(16)
	n = min(n, len(b)-at)
	for i := range n {
		b[at+i] ^= 1 << r.IntN(8)
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		return "", fmt.Errorf("disk: corrupt: %w", err)
	}
	return fmt.Sprintf("%d bytes of %s at offset %d of %d", n, name, at, len(b)), nil
}

// Wipe removes all that a server has put into its data directory.
func Wipe(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("disk: wipe: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if e.Name() != kept {
			errs = append(errs, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// Save copies a data directory into another one, which it replaces. The server must not run.
func Save(dir, to string) error {
	if err := os.RemoveAll(to); err != nil {
		return fmt.Errorf("disk: save: %w", err)
	}
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		return fmt.Errorf("disk: save: %w", err)
	}
	return nil
}

// Restore puts back what Save has copied, in place of what is there now.
func Restore(from, dir string) error {
	if err := Wipe(dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return fmt.Errorf("disk: restore: %w", err)
	}
	for _, e := range entries {
		if err := copyInto(filepath.Join(from, e.Name()), filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("disk: restore: %w", err)
		}
	}
	return nil
}

func copyInto(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return os.CopyFS(to, os.DirFS(from))
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, info.Mode().Perm())
}
