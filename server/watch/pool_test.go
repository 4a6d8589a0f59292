package watch

import (
	"testing"

	"pgregory.net/rapid"
)

// A number names what was put there until it is dropped, and no group stays without entries but
// one.
func TestPool(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var p pool[int]
		var taken []uint32 // in the order of taking
		want := map[uint32]int{}
		take := func() {
			i := p.take()
			if _, twice := want[i]; twice || *p.at(i) != 0 {
				rt.Fatalf("%d is taken: %v, and holds %d", i, twice, *p.at(i))
			}
			*p.at(i), want[i] = len(want)+1, len(want)+1
			taken = append(taken, i)
		}
		drop := func(x int) {
			i := taken[x]
			taken = append(taken[:x], taken[x+1:]...)
			p.drop(i)
			delete(want, i)
			if p.has(i) {
				rt.Fatalf("%d is in use behind its end", i)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"take some": func(rt *rapid.T) {
				for range rapid.IntRange(1, 200).Draw(rt, "n") {
					take()
				}
			},
			"drop some": func(rt *rapid.T) {
				for range rapid.IntRange(0, len(taken)).Draw(rt, "n") {
					drop(rapid.IntRange(0, len(taken)-1).Draw(rt, "which"))
				}
			},
			"drop the oldest": func(rt *rapid.T) {
				for range rapid.IntRange(0, len(taken)).Draw(rt, "n") {
					drop(0)
				}
			},
			"": func(rt *rapid.T) {
				used := map[uint32]bool{}
				for i, v := range want {
					if !p.has(i) || *p.at(i) != v {
						rt.Fatalf("%d holds %d, want %d", i, *p.at(i), v)
					}
					used[i>>groupBits] = true
				}
				n := 0
				for i := p.seek(0); i != none; i = p.seek(i + 1) {
					n++
				}
				if n != len(want) {
					rt.Fatalf("%d in a row, want %d", n, len(want))
				}
				groups := 0
				for _, g := range p.groups {
					if g != nil {
						groups++
					}
				}
				if groups > len(used)+1 {
					rt.Fatalf("%d groups for entries in %d", groups, len(used))
				}
				if len(p.open)+len(p.vacant) > len(p.groups) || p.has(uint32(len(p.groups))<<groupBits) {
					rt.Fatalf("%d open and %d vacant of %d", len(p.open), len(p.vacant), len(p.groups))
				}
			},
		})
	})
}
