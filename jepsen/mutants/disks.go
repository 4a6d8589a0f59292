package mutants

// disks holds the bugs of what is on disk.
var disks = []Mutant{
	{
		Name: "log-unsynced", Bug: "the log does not sync what it reports as durable",
		IDs:     []string{"H-91", "I13"},
		Edits:   []Edit{{"zab/txnlog/log.go", `	return pebble.Sync`, `	return pebble.NoSync`}},
		Killers: []Trial{{Suite: "txnlog"}},
	},
	{
		Name: "directory-unsynced", Bug: "the directory is not synced after a file of it was created or renamed",
		IDs: []string{"H-21"}, Listed: "directory fsync removed",
		Edits:   []Edit{{"zab/txnlog/watermark.go", `	return errors.Join(d.Sync(), d.Close())`, `	return d.Close()`}},
		Killers: []Trial{{Suite: "txnlog"}},
	},
	{
		Name: "tree-directory-unsynced", Bug: "the directories of the tree are not synced",
		IDs:     []string{"H-21"},
		Edits:   []Edit{{"znode/store/staging.go", `	return errors.Join(d.Sync(), d.Close())`, `	return d.Close()`}},
		Killers: []Trial{{Suite: "store"}},
	},
	{
		Name: "sync-retried", Bug: "a sync that failed is tried again",
		IDs: []string{"H-03", "H-05", "ZK-4882"}, Listed: "exit-on-EIO replaced by retry",
		Edits:   []Edit{{"zab/disk/guard.go", `	if err := sync(); err != nil {`, `	if err := sync(); err != nil && sync() != nil {`}},
		Killers: []Trial{{Suite: "txnlog"}},
	},
	{
		Name: "short-write-survived", Bug: "the process goes on after a write that failed",
		IDs:     []string{"H-03", "H-16", "ZK-3701"},
		Edits:   []Edit{{"zab/disk/guard.go", `if err := f.guard.check("write", f.path, at, err); err != nil {`, `if err != nil {`}},
		Killers: []Trial{{Suite: "txnlog"}},
	},
	{
		Name: "lost-tail-trusted", Bug: "a log that has lost its synced end is trusted",
		IDs:     []string{"H-17", "H-18"},
		Edits:   []Edit{{"zab/txnlog/watermark.go", `	if kept && !created &&`, `	if (kept || !kept) && !created &&`}},
		Killers: []Trial{{Suite: "txnlog"}},
	},
	{
		Name: "epochs-guessed", Bug: "a log whose epochs are missing is opened all the same",
		IDs:     []string{"H-36", "H-34"},
		Edits:   []Edit{{"zab/txnlog/open.go", `{kindEpochs, false,`, `{kindEpochs, true,`}},
		Killers: []Trial{{Suite: "txnlog"}},
	},
	{
		Name: "watermark-above-a-cut", Bug: "the watermark is not lowered before entries are removed",
		IDs:     []string{"H-17"},
		Edits:   []Edit{{"zab/txnlog/watermark.go", `p := *group[i].step.Truncate; p.ID < w.at.ID {`, `p := *group[i].step.Truncate; p.ID < 0 {`}},
		Killers: []Trial{{Suite: "txnlog"}},
	},
	{
		Name: "scrub-blind", Bug: "a scrub reads all blocks and does not look at their checksums",
		IDs:     []string{"H-94"},
		Edits:   []Edit{{"zab/disk/scrub.go", `block.ValidateChecksum(kind, b, h); err != nil {`, `block.ValidateChecksum(kind, b, h); err != nil && w.size < 0 {`}},
		Killers: []Trial{{Suite: "store", Run: "Scrub"}, {Suite: "disk", Run: "Scrub"}},
	},
	{
		Name: "scrub-meets-the-writer", Bug: "a file counts as being written only behind its creation: a scrub that comes in between ends the server over an empty table",
		IDs: []string{"H-94"},
		Edits: []Edit{
			{"zab/disk/guard.go", `		g.note(name, 1)
		f, err := open()
		if err == nil {`, `		f, err := open()
		g.note(name, 1)
		if err == nil {`},
		},
		Killers: []Trial{{Suite: "disk", Run: "Scrub"}},
	},
	{
		Name: "leftovers-are-damage", Bug: "a scrub takes what a crash left half written, and is about to be deleted, for damage",
		IDs:     []string{"H-94"},
		Edits:   []Edit{{"zab/disk/scrub.go", `done := !deleting() ||`, `done := deleting != nil ||`}},
		Killers: []Trial{{Suite: "disk", Run: "Scrub"}, {Suite: "node", Run: "Scrub"}},
	},
	{
		Name: "scrub-uncompared", Bug: "a scrub does not compare the digest of the nodes with the one that was kept",
		IDs:     []string{"H-94", "H-78"},
		Edits:   []Edit{{"znode/store/scrub.go", `	if a.totals == s.totals {`, `	if s.totals.Digest = a.totals.Digest; a.totals == s.totals {`}},
		Killers: []Trial{{Suite: "store", Run: "Scrub"}, {Suite: "node", Run: "Scrub"}},
	},
	{
		Name: "applied-apart", Bug: "the tree's applied point is not in the batch of what was applied",
		IDs:     []string{"H-89", "I14"},
		Edits:   []Edit{{"znode/store/store.go", `s.batch.Set(appliedKey, s.value, nil)`, `s.db.Set(appliedKey, s.value, pebble.NoSync)`}},
		Killers: []Trial{{Suite: "store"}},
	},
	{
		Name: "old-point-installed", Bug: "the tree takes a transaction that it holds already",
		IDs:     []string{"H-89", "I5"},
		Edits:   []Edit{{"znode/store/store.go", `	if at.ID <= old.At.ID {`, `	if at.ID < 0 {`}},
		Killers: []Trial{{Suite: "store"}},
	},
	{
		Name: "half-staged-is-whole", Bug: "a snapshot is marked as whole before all of it is on disk",
		IDs: []string{"H-92", "H-08"},
		Edits: []Edit{{
			"znode/store/staging.go", "\tif st.table != nil {\n\t\tif err := st.endTable(); err != nil {\n\t\t\treturn err\n\t\t}\n\t}\n\tfs := st.store.fs\n",
			"\tfs := st.store.fs\n\tif err := errors.Join(writeSynced(fs, st.file(completeFile), st.about.append(nil)), syncDir(fs, st.dir)); err != nil {\n\t\treturn err\n\t}\n\tif st.table != nil {\n\t\tif err := st.endTable(); err != nil {\n\t\t\treturn err\n\t\t}\n\t}\n",
		}},
		Killers: []Trial{{Suite: "store", Run: "Crashes"}},
	},
	{
		Name: "cache-outlives-the-tree", Bug: "nodes of the tree before a snapshot stay in the cache",
		IDs:     []string{"H-92", "I14"},
		Edits:   []Edit{{"znode/store/replace.go", "\ts.cache.clear()\n\ts.system = znode.SystemDigest(s)\n\ts.cache.clear()\n", "\ts.system = znode.SystemDigest(s)\n"}},
		Killers: []Trial{{Suite: "store"}},
	},
	{
		Name: "tree-below-the-log", Bug: "a tree is used though the log begins only behind it",
		IDs:     []string{"H-10", "ZK-2872"},
		Edits:   []Edit{{"server/node/stores.go", `	case applied.ID < history.Base.ID:`, `	case applied.ID < 0:`}},
		Killers: []Trial{{Suite: "node", Run: "Tree|Hole"}},
	},
	{
		Name: "second-disk-forgotten", Bug: "a log is opened without the second disk, on which there are write-ahead logs of it",
		IDs:     []string{"H-74"},
		Edits:   []Edit{{"zab/txnlog/backup.go", "\tif logs != \"\" {\n\t\treturn l.backupFault(\"%s holds %s, but", "\tif logs == \"?\" {\n\t\treturn l.backupFault(\"%s holds %s, but"}},
		Killers: []Trial{{Suite: "node", Run: "SecondDisk"}, {Suite: "txnlog", Run: "DiskStalls"}},
	},
	{
		Name: "reserve-ignored", Bug: "a server goes on until its disk is full",
		IDs:     []string{"H-16", "ZK-3701"},
		Edits:   []Edit{{"server/node/space.go", `	case worst.exhausted():`, `	case worst.free.Load() < 0:`}},
		Killers: []Trial{{Suite: "zktest", Run: "Space|Exhausted"}},
	},
	{
		Name: "handover-tried-once", Bug: "a leader that runs low on space while it is needed does not hand over when it is not any more",
		IDs:     []string{"H-16"},
		Edits:   []Edit{{"server/node/space.go", "	if s.asked == generation {\n", "	if s.looks == 0 {\n"}},
		Killers: []Trial{{Suite: "zktest", Run: "TestLowSpace"}},
	},
	{
		Name: "handed-over-once-for-all", Bug: "who leads again though its disk is low leads for good, and refuses growth",
		IDs:     []string{"H-16"},
		Edits:   []Edit{{"server/node/space.go", `s.asked == 0 || s.asked != generation && s.looks > patience`, `s.asked == 0`}},
		Killers: []Trial{{Suite: "zktest", Run: "TestLowSpace"}},
	},
}
