// Package nemesis hurts an ensemble after a plan made from a seed: it kills, stops and restarts
// servers, one act after the other, and leaves everybody running and well in the end.
//
// Plan is a pure function: same seed and settings, same acts at the same times. Who leads when an
// act comes is not in the seed's hands, so an act names a role and the victim is found when it is
// due. Run carries a plan out against an Ensemble (package cluster is one) and heals whatever
// happens: when the plan is through, when its context ends, when an act fails.
//
// Acts differ in whether the next one waits for the ensemble to be whole again, so some hit a
// server while another one is still recovering. Data is never destroyed.
package nemesis
