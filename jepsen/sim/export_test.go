package sim

import (
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// Standing is what is left of a server, as far as it matters to whether the ensemble can go on.
// Committed and Seen are indexes of configurations.
type Standing struct {
	Epoch           zxid.Epoch
	Last            zxid.Counter // of epoch 1
	Committed, Seen int
	Gone, Wiped     bool
}

// Hopeless judges an ensemble of servers 1, 2 and so on. Configurations are written as shapes; the first is
// the one that it begins with.
func Hopeless(configurations []string, servers []Standing) (bool, error) {
	s, err := newSimulation(Config{Shape: configurations[0], Members: membersFixed, Tree: treeTwin})
	if err != nil {
		return false, err
	}
	var ensembles []*quorum.Ensemble
	for i, text := range configurations {
		sh, err := parseShape(text)
		if err != nil {
			return false, err
		}
		e, err := sh.ensemble()
		if err != nil {
			return false, err
		}
		ensembles = append(ensembles, e.WithVersion(zxid.Make(1, zxid.Counter(i+1))))
	}
	for i, is := range servers {
		v := s.servers[i]
		v.absent, v.disk.amnesiac = is.Gone, is.Wiped
		v.disk.model.current = is.Epoch
		v.disk.model.entries = []zxid.Point{{ID: zxid.Make(1, is.Last)}}
		v.disk.model.members = quorum.Membership{Committed: ensembles[is.Committed], Seen: ensembles[is.Seen]}
	}
	return s.hopeless(), nil
}

// Wipe lets one of three voters, or a server without a vote, log an entry and promise an epoch, and wipes it.
// It returns whether what it says counts for nothing from now on, and whether what it held and promised before
// still does.
func Wipe(votes bool) (mute, held, promised bool, err error) {
	s, err := newSimulation(Config{Shape: "3~1", Members: membersChange, Tree: treeTwin})
	if err != nil {
		return false, false, false, err
	}
	sid := quorum.SID(1)
	if !votes {
		sid = 4
	}
	d, entry := s.server(sid).disk, zxid.Point{ID: zxid.Make(2, 1), Hash: 1}
	d.model.incarnation[0] = 1
	d.model.entries = []zxid.Point{entry}
	d.model.promise.Epoch, d.model.promise.Leader = 2, 2
	promise := d.model.promise
	s.oracle.durable(d)
	d.wipe()
	return d.amnesiac, s.oracle.has(sid, entry), s.oracle.configs.promised[promise].Has(sid), nil
}

// WipeOnTheWay wipes a server that has no vote in the moment in which its leader has proposed to give it one, and no disk
// has that yet. It returns whether there was such a moment, and whether what the server says counts for nothing from now on.
func WipeOnTheWay(seed uint64) (reached, mute bool, err error) {
	s, err := newSimulation(Config{Seed: seed, Shape: "1~1", Members: membersChange, Tree: treeTwin})
	if err != nil {
		return false, false, err
	}
	defer s.close()
	for _, v := range s.servers {
		s.after(0, v.start)
	}
	s.beginFaults()
	for s.steps < s.cfg.Steps {
		s.step()
		if p := s.server(1).proc; !p.alive() || p.tenure == nil || p.tenure.leader == nil {
			continue
		}
		force := s.oracle.configs.inForce()
		way := s.oracle.configs.proposed
		if len(way) == 0 || way[len(way)-1].at <= force.at || force.ensemble.Voters().Has(2) || !way[len(way)-1].ensemble.Voters().Has(2) {
			continue
		}
		if d := s.server(2).disk; s.server(1).knows(force) && s.server(2).knows(force) && !d.model.incarnation.IsZero() {
			d.wipe()
			return true, d.amnesiac, nil
		}
	}
	return false, false, nil
}
