package zab_test

import (
	"slices"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// disk is a model of what a server keeps: a log with its base, the epochs and the
// identity. below are the points at and under the base, which a real log has forgotten; the
// model keeps them to compare whole histories.
type disk struct {
	below   []zxid.Point
	entries []zab.Entry

	promise     zab.Promise
	current     zxid.Epoch
	cluster     quorum.ClusterID
	incarnation quorum.Incarnation
	known       []zab.Known
	untrusted   bool
	membership  quorum.Membership // zero: nothing but the configuration file
}

func (d *disk) clone() *disk {
	c := *d
	c.below, c.entries = slices.Clone(d.below), slices.Clone(d.entries)
	return &c
}

func (d *disk) base() zxid.Point {
	if len(d.below) == 0 {
		return zxid.Point{}
	}
	return d.below[len(d.below)-1]
}

func (d *disk) last() zxid.Point {
	if len(d.entries) == 0 {
		return d.base()
	}
	return d.entries[len(d.entries)-1].Point()
}

// len counts the transactions of the whole history.
func (d *disk) len() int { return len(d.below) + len(d.entries) }

// at returns the i-th point of the whole history.
func (d *disk) at(i int) zxid.Point {
	if i < len(d.below) {
		return d.below[i]
	}
	return d.entries[i-len(d.below)].Point()
}

// holds reports whether the history passes through id.
func (d *disk) holds(id zxid.ID) bool {
	for i := d.len() - 1; i >= 0 && d.at(i).ID >= id; i-- {
		if d.at(i).ID == id {
			return true
		}
	}
	return id == 0
}

func (d *disk) summary() zab.Summary {
	s := zab.Summary{Base: d.base()}
	for _, e := range d.entries {
		s = s.Extend(e)
	}
	return s
}

func (d *disk) durable(committed zxid.ID) zab.Durable {
	return zab.Durable{
		Cluster: d.cluster, Incarnation: d.incarnation, Promise: d.promise, Current: d.current,
		History: d.summary(), Committed: committed, Known: d.known, Untrusted: d.untrusted,
	}
}

// write carries out one step; snap is the history below a snapshot that it installs, and
// staged what was staged behind it.
func (d *disk) write(p *zab.Persist, snap []zxid.Point, staged []zab.Entry) {
	if p.Promise != nil {
		d.promise = *p.Promise
	}
	if p.Install != nil {
		d.below, d.entries = slices.Clone(snap), slices.Clone(staged)
	}
	if p.Truncate != nil {
		n := len(d.entries)
		for n > 0 && d.entries[n-1].ID > p.Truncate.ID {
			n--
		}
		d.entries = slices.Clone(d.entries[:n])
	}
	d.entries = append(d.entries, p.Append...)
	if p.Current != nil {
		d.current = *p.Current
		d.untrusted = false
	}
	if !p.Cluster.IsZero() {
		d.cluster = p.Cluster
	}
	if p.Known != nil {
		d.known = p.Known
	}
	if !p.Membership.IsZero() {
		d.membership = p.Membership
	}
}

// trim moves the base up to a point of the log.
func (d *disk) trim(to zxid.ID) {
	n := 0
	for n < len(d.entries) && d.entries[n].ID <= to {
		d.below = append(d.below, d.entries[n].Point())
		n++
	}
	d.entries = slices.Clone(d.entries[n:])
}

// read returns the entries (after, upTo], or false if the log no longer has them.
func (d *disk) read(after, upTo zxid.ID) ([]zab.Entry, bool) {
	if after < d.base().ID {
		return nil, false
	}
	var out []zab.Entry
	for _, e := range d.entries {
		if e.ID > after && e.ID <= upTo {
			out = append(out, e)
		}
	}
	return out, true
}
