// Package nemesis hurts an ensemble after a plan made from a seed: it kills, stops and restarts
// servers, cuts, delays and slows down the links between them, turns their clocks, and spoils their
// disks, one act after the other, sometimes one within another, and leaves everybody running and
// well in the end.
//
// Plan is a pure function: same seed and settings, same acts at the same times. Who leads when an
// act comes is not in the seed's hands, so an act names a role and the victim is found when it is
// due. Run carries a plan out against an Ensemble (package cluster is one), a Network (package
// network), Disks and Clocks, and heals whatever happens: when the plan is through, when its context
// ends, when an act fails.
//
// Acts differ in whether the next one waits for the ensemble to be whole again, so some hit a
// server while another one is still recovering. Data is destroyed on one server at a time, while
// all the others are well.
package nemesis
