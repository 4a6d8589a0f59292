package node_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zabkeeper/zabkeeper/server"
	"github.com/zabkeeper/zabkeeper/server/node"
)

const suspectFile = dataDir + "/zabkeeper/SUSPECT"

// accuse leaves the note that a server in doubt leaves.
func accuse(tb testing.TB, disk vfs.FS, content string) {
	tb.Helper()
	f, err := disk.Create(suspectFile, vfs.WriteCategoryUnspecified)
	must(tb, err)
	_, err = f.Write([]byte(content))
	must(tb, errors.Join(err, f.Sync(), f.Close()))
}

// A member that was stopped in doubt and is started alone does not serve a tree that nobody can judge or replace: not
// standalone, not as the only one of its list, with digests or without. The operator decides [H-78].
func TestInDoubtAndAlone(t *testing.T) {
	disk := served(t, "a", 3)
	for content, says := range map[string]string{
		"suspect\n": "suspect", "damaged\n": "damaged", "": "damaged", "suspect\nand more": "damaged", "anything": "damaged",
	} {
		accuse(t, disk, content)
		refusedData(t, disk, "it was "+says+" when", suspectFile, "restore a backup", "remove that file")
		for _, lines := range [][]string{
			{"clientPort=1", "digest.enabled=false"},
			{"server.1=127.0.0.1:1:2;3"},
		} {
			err := refused(t, node.Config{Conf: config(t, "1", lines...), FS: disk.CrashClone(vfs.CrashCloneCfg{}), ClientListener: reserve(t)})
			if !errors.Is(err, server.ErrDiverged) || node.ExitCode(err) != node.ExitDataDir || !strings.Contains(err.Error(), suspectFile) {
				t.Errorf("%q, %q: %v, exit code %d", content, lines, err, node.ExitCode(err))
			}
		}
	}
	must(t, disk.Remove(suspectFile))
	startStandalone(t, disk).holds("v", paths("a", 3)...)
}
