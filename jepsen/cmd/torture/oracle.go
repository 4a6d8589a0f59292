package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
	"github.com/zabkeeper/zabkeeper/jepsen/nemesis"
	"github.com/zabkeeper/zabkeeper/jepsen/oracle"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// tracePath is where everything goes that passes between clients and servers.
func (r *run) tracePath() string { return filepath.Join(r.report.dir, "trace") }

// consult ends the servers and holds everything that clients saw against the log that they leave
// behind. It comes last: nobody may use the servers any more. An error is a log that cannot be
// read, or that is not as long as servers and clients have said.
func (r *run) consult(ctx context.Context) error {
	r.env.Abandon() // of a clean run there are none
	end, err := r.committed(ctx)
	if err == nil {
		err = r.cluster.KillAll()
	}
	if err = errors.Join(err, r.env.Recorder.EndTrace()); err != nil {
		return err
	}
	began := time.Now()
	log, err := r.cluster.History(end)
	if err != nil {
		return err
	}
	f, err := os.Open(r.tracePath())
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	records, err := oracle.Read(f)
	if err != nil {
		return err
	}
	found := oracle.Check(log, records, oracle.Options{
		SyncReads: r.opt.syncGets, LinearizableReads: r.opt.set["linearizableReads"] == "true",
		Config: r.config, Reconfig: r.opt.changes() || r.opt.set["reconfigEnabled"] == "true", LeastVoters: 1,
		DataLost: slices.ContainsFunc(r.opt.kinds, nemesis.Kind.Destructive),
	})
	r.report.oracle, r.report.oracleTook = found, time.Since(began)
	for _, v := range found.Violations {
		r.report.add(check.Violation{Check: "oracle", Text: v.String()})
	}
	if found.More > 0 {
		return fmt.Errorf("%d more violations", found.More)
	}
	return nil
}

// committed returns the highest zxid that any server has applied, once all serve. What comes after
// it, such as the end of sessions that were let go, no client can have seen.
func (r *run) committed(ctx context.Context) (zxid.ID, error) {
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	if err := r.cluster.WaitServing(ctx); err != nil {
		return 0, err
	}
	var end zxid.ID
	for _, id := range r.cluster.IDs() {
		st, err := r.cluster.Status(ctx, id)
		if err != nil {
			return 0, err
		}
		end = max(end, zxid.ID(st.Zxid))
	}
	return end, nil
}
