package check

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// RegisterInit is the value that a register is created with, at version 0.
const RegisterInit = "init"

// register is the state of one key: version counts the writes, so a lost or doubled one shows
// even where nobody read its value.
type register struct {
	version int32
	value   string
}

// RegisterOptions are the settings of Register.
type RegisterOptions struct {
	// SyncGets demands that reads after sync are linearizable. Without it they only count as
	// plain reads: a server may answer a sync as a deposed leader that does not know it yet
	// (spec semantics 14).
	SyncGets bool
	// Timeout bounds the search for one key.
	Timeout time.Duration
}

// Register holds every key of a history against a versioned register. Keys whose search ran into
// the timeout are returned as unknown: neither proved nor broken.
func Register(h []Op, opt RegisterOptions) (found []Violation, unknown []string) {
	v := violations{check: "register"}
	keys := map[string][]porcupine.Operation{}
	for _, o := range h {
		if p, ok := registerOperation(o, opt); ok {
			keys[o.Key] = append(keys[o.Key], p)
		}
	}
	model := registerModel()
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		result, info := porcupine.CheckOperationsVerbose(model, keys[key], opt.Timeout)
		switch result {
		case porcupine.Unknown:
			unknown = append(unknown, key)
		case porcupine.Illegal:
			v.addf(stuckAt(keys[key], info), "%s: %d operations cannot be put in any order that fits real time; the first after the longest order that can",
				key, len(keys[key]))
		case porcupine.Ok:
		}
	}
	return v.list, unknown
}

// registerOperation translates o for the search. Reads of unknown outcome and writes that were
// certainly not done say nothing about the register, except a cas refused for its version.
func registerOperation(o Op, opt RegisterOptions) (porcupine.Operation, bool) {
	end := o.Return
	switch o.Kind {
	case KindSet:
		if o.Outcome == Fail {
			return porcupine.Operation{}, false
		}
	case KindCAS:
		if o.Outcome == Fail && !o.Refused {
			return porcupine.Operation{}, false
		}
	case KindSyncGet:
		if o.Outcome != OK || !opt.SyncGets {
			return porcupine.Operation{}, false
		}
	default:
		return porcupine.Operation{}, false
	}
	if o.Outcome == Info {
		end = math.MaxInt64 // possibly effective at any later time
	}
	return porcupine.Operation{ClientId: o.Client, Input: o, Output: o, Call: o.Call, Return: end}, true
}

func registerModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return register{value: RegisterInit} },
		Step: func(state, input, _ any) (bool, any) {
			s, isState := state.(register)
			o, isOp := input.(Op)
			if !isState || !isOp {
				return false, state
			}
			return s.step(o)
		},
		DescribeOperation: func(input, _ any) string { return fmt.Sprint(input) },
	}
}

func (s register) step(o Op) (bool, register) {
	written := register{version: s.version + 1, value: o.Value}
	switch {
	case o.Kind == KindSyncGet:
		return s == register{version: o.Stat.Version, value: o.Value}, s
	case o.Kind == KindCAS && o.Outcome == Fail:
		return s.version != o.Expect, s
	case o.Kind == KindCAS && s.version != o.Expect:
		return o.Outcome == Info, s // unknown: it may have been refused
	case o.Outcome == OK:
		return o.Stat.Version == written.version, written
	default:
		return true, written
	}
}

// stuckAt returns a few operations that the longest possible order could not take up any more,
// the earliest first.
func stuckAt(ops []porcupine.Operation, info porcupine.LinearizationInfo) []Op {
	longest := map[int]bool{}
	for _, p := range info.PartialLinearizations() {
		for _, ids := range p {
			if len(ids) > len(longest) {
				longest = map[int]bool{}
				for _, id := range ids {
					longest[id] = true
				}
			}
		}
	}
	var out []Op
	for id, p := range ops {
		if o, ok := p.Input.(Op); ok && !longest[id] && o.Outcome != Info {
			out = append(out, o)
		}
	}
	out = byCall(out, func(Op) bool { return true })
	return out[:min(len(out), 6)]
}
