// Package txnlog is the durable history of one server: the proposals it has logged, the
// epochs it has promised and accepted, and whose disk this is, in one Pebble store. It is
// the redo log of the znode tree and the memory on which every vote and every
// acknowledgement rests.
//
// # What it promises
//
//   - A zab.Persist is one batch. After a crash all of it is there or none (S4 of spec
//     zab-and-election 7.3); truncation, installation of a snapshot, history and epochs
//     cannot be seen apart.
//   - A token is reported, and Apply returns, only after the batch is on stable storage.
//   - What Open finds is durable when it returns, even what a killed process had only
//     written (R7): Pebble replays its write-ahead log into tables and syncs those.
//   - Every entry carries the zxid before it and the running hash. Both are checked when it
//     is written, when it is read, and for the run ends and the last 1024 entries at Open;
//     Verify checks all of them.
//   - The first failed write, sync or creation of a file, whoever meets it, calls Config.Fatal
//     before anybody can go on. Nothing is retried, nothing is acknowledged after it.
//   - Only one Writer can write, and only the newest (generation fencing, spec 0.2).
//   - A log that ends below what it once had durable says so: Durable().Untrusted, until
//     a snapshot is installed. So does one that forgot a promise.
//
// # How it is driven
//
// A role of the server opens a Writer, submits Persist steps and is called back with tokens.
// One goroutine per writer takes everything queued, checks and encodes it into one reused
// batch, syncs once, and reports the highest token; meanwhile the next group collects. A
// single-threaded driver uses Apply, StageNow and DropStaged instead and needs no goroutine.
//
// A snapshot arrives in two stores. While it is received, the entries behind it are staged
// under the next generation, unsynced and invisible. The step with Install then, in one
// batch, deletes every older key, moves base and generation, and writes an intent. The
// tree store takes the snapshot, and InstallDone clears the intent; after a crash between the
// two, Intent tells what to finish.
//
// # On disk
//
// Pebble keys; numbers are big endian:
//
//	'l' | generation u32 | zxid u64  ->  format u8 =1 | prev u64 | hash u64 | data
//	'm' | 'i'  identity              ->  sid i16 (-1: standalone) | incarnation 16 | cluster 16
//	'm' | 'e'  epochs                ->  accepted u32 | its leader i16 | current u32
//	'm' | 'h'  history               ->  generation u32 | base zxid u64, hash u64 | committed u64 | flags u8 (1: untrusted)
//	'm' | 'k'  known incarnations    ->  (sid i16 | flags u8 (1: gone, 2: acked) | incarnation 16 | noted u64 | [acked u64])*, ascending
//	'm' | 'c'  configurations, if any ->  version u64 | length u16 | text | (version u64 | text of one that is pending)
//	'm' | 'r'  reserved, if any      ->  number u64, of sessions
//	'm' | 's'  intent, if any        ->  zxid u64 | hash u64
//
// Metadata records are framed; the checksum covers the key's second byte, too:
//
//	format u8 =1 | length u16 | fields | CRC32C u32 of (kind | format | length | fields)
//
// The file WATERMARK has the same frame with kind 'w' and the fields
//
//	incarnation 16 | zxid u64 | hash u64 | accepted u32
//
// It is replaced by rename, after syncs: each Config.WatermarkBytes, at each new promise, at
// Close. It is lowered before entries are removed. A missing or unreadable one counts as
// zero. The log holds exactly the entries of its generation above its base; Open deletes
// every other 'l' key.
//
// With Config.BackupDir the files SECONDARY, in the log's directory, and PRIMARY, in the other one,
// have the same frame with kind 'b' and the fields
//
//	id 16, the same in both | path of the other directory, to the end
//
// # What it leaves to others
//
// It knows no roles, messages or transactions. It does not bound its queue: the window of the
// role that submits does (zab.Limits). Where the staged snapshot lies, and under which name,
// is the business of its owner, who derives it from the point. When to trim is decided
// above; the log only makes trims coarse.
package txnlog
