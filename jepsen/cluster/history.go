package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/txnlog"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// ErrHistory is returned when what servers have logged is not one whole history.
var ErrHistory = errors.New("cluster: the logs are not one whole history")

// KeepLog are the lines of zoo.cfg with which servers never trim their logs, so that History has
// the whole of it.
func KeepLog() map[string]string { return map[string]string{"snapCount": fmt.Sprint(math.MaxInt32)} }

// historyBytes is how much of a log is read at a time.
const historyBytes = 4 << 20

// History returns the transactions up to and with upTo, from the first one on, as the servers have
// logged them; upTo must be committed. No server may run. Where a server took a snapshot in place of
// entries it lacks those; another one must have them, and the same goes for a log that cannot be read.
// Logs that differ are ErrHistory.
//
// It opens the logs as a server would at its next start. Servers of another make cannot be asked.
func (c *Cluster) History(upTo zxid.ID) ([]proto.Txn, error) {
	held := map[zxid.ID]zab.Entry{}
	var unread []error
	for _, s := range c.servers {
		err := c.readLog(s, upTo, held)
		if errors.Is(err, ErrHistory) {
			return nil, err
		}
		unread = append(unread, err)
	}
	// Backwards, because each entry names the one before it.
	var entries []zab.Entry
	for id := upTo; id != 0; {
		e, ok := held[id]
		if !ok {
			return nil, errors.Join(append(unread, fmt.Errorf("%w: no server has %v", ErrHistory, id))...)
		}
		entries = append(entries, e)
		id = e.Prev
	}
	txns := make([]proto.Txn, len(entries))
	for i, e := range entries {
		txn, err := proto.DecodeTxn(e.Data)
		if err != nil || txn.Zxid != e.ID {
			return nil, fmt.Errorf("%w: %v holds the transaction of %v: %w", ErrHistory, e.ID, txn.Zxid, err)
		}
		txns[len(txns)-1-i] = txn
	}
	return txns, nil
}

// readLog adds the entries that a stopped server has to held.
func (c *Cluster) readLog(s *server, upTo zxid.ID, held map[zxid.ID]zab.Entry) (err error) {
	dir := filepath.Join(s.data(), "zabkeeper", "log")
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) && s.isIdle() {
		return nil // it has never run, or was wiped
	}
	log, err := txnlog.Open(txnlog.Config{
		Dir: dir, SID: quorum.SID(s.id), Standalone: c.list() == nil,
		NoSync: true, Logger: zerolog.Nop(), Fatal: func(error) {}, // it refuses everything from then on
	})
	if err != nil {
		return fmt.Errorf("cluster: server %d: %w", s.id, err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	history := log.Durable().History
	for at, end := history.Base.ID, min(history.Last().ID, upTo); at < end; {
		entries, err := log.Entries(at, end, historyBytes)
		if err != nil {
			return fmt.Errorf("cluster: server %d: %w", s.id, err)
		}
		if len(entries) == 0 {
			return fmt.Errorf("%w: server %d has nothing behind %v", ErrHistory, s.id, at)
		}
		for _, e := range entries {
			if other, ok := held[e.ID]; ok && other.Hash != e.Hash {
				return fmt.Errorf("%w: %v of server %d differs from that of another server", ErrHistory, e.ID, s.id)
			}
			held[e.ID] = e
		}
		at = entries[len(entries)-1].ID
	}
	return nil
}
