package node

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/conf"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/txnlog"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// TestStrictEmptyStore holds db.autocreate=false to ZooKeeper's meaning: an empty store abstains
// unless the marker file is there, which is used up, or until it has accepted a leader.
func TestStrictEmptyStore(t *testing.T) {
	dir := t.TempDir()
	n := &Node{conf: &conf.Config{DataDir: dir}}
	marker := filepath.Join(dir, initializeMarker)
	if err := os.WriteFile(marker, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if n.strict() {
		t.Error("strict in spite of the marker")
	}
	if _, err := os.Stat(marker); !os.IsNotExist(err) {
		t.Errorf("the marker is still there: %v", err)
	}
	if !n.strict() {
		t.Error("not strict without the marker")
	}
	n.conf.DBAutocreate = true
	if n.strict() {
		t.Error("strict with db.autocreate")
	}

	log, err := txnlog.Open(txnlog.Config{
		Dir: "/log", FS: vfs.NewMem(), SID: 1, Logger: zerolog.Nop(), Fatal: func(err error) { t.Error(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	h := history{Log: log, strict: true}
	if !h.Durable().Untrusted {
		t.Error("an empty store is trusted")
	}
	epoch := zxid.Epoch(1)
	if err := log.Apply(&zab.Persist{Token: 1, Promise: &zab.Promise{Epoch: 1, Leader: 1}, Current: &epoch}); err != nil {
		t.Fatal(err)
	}
	if h.Durable().Untrusted {
		t.Error("a store that accepted a leader is not trusted")
	}
}
