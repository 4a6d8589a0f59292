package network

import (
	"math/rand/v2"
	"slices"
)

// Link is the way from one host to another.
type Link struct{ From, To Host }

// between returns the links from every host of a to every one of b, and back.
func between(a, b []Host) []Link {
	return append(OneWay(a, b), OneWay(b, a)...)
}

// OneWay returns the links from every host of one list to every host of the other: what these say
// is not heard, what they are told is.
func OneWay(from, to []Host) []Link {
	var out []Link
	for _, a := range from {
		for _, b := range to {
			if a != b {
				out = append(out, Link{a, b})
			}
		}
	}
	return out
}

// Halves splits the servers at random into a majority and the rest.
func Halves(servers []Host, r *rand.Rand) []Link {
	s := shuffled(servers, r)
	n := len(s)/2 + 1
	return between(s[:n], s[n:])
}

// Isolate cuts one server off from the others.
func Isolate(servers []Host, victim Host) []Link {
	return between([]Host{victim}, without(servers, victim))
}

// Ring puts the servers on a ring, in random order, and lets each reach its neighbours only, to as
// many sides as a majority needs: everybody sees a majority, and no two see the same one. Of three
// servers two are cut from each other and the third sees both, which is the nearest thing there is.
func Ring(servers []Host, r *rand.Rand) []Link {
	s := shuffled(servers, r)
	if len(s) == 3 {
		return between(s[:1], s[1:2])
	}
	sides := (len(s)/2 + 1) / 2 // neighbours on either side that are seen
	var out []Link
	for i := range s {
		for j := range s {
			if d := (j - i + len(s)) % len(s); d > sides && d < len(s)-sides {
				out = append(out, Link{s[i], s[j]})
			}
		}
	}
	return out
}

// Bridge splits the servers into two halves that have one server in common, which sees everybody.
func Bridge(servers []Host, r *rand.Rand) []Link {
	s := shuffled(servers, r)
	n := (len(s) - 1) / 2
	return between(s[1:1+n], s[1+n:])
}

// All returns the links between the servers.
func All(servers []Host) []Link { return OneWay(servers, servers) }

func without(servers []Host, victim Host) []Host {
	return slices.DeleteFunc(slices.Clone(servers), func(h Host) bool { return h == victim })
}

func shuffled(servers []Host, r *rand.Rand) []Host {
	s := slices.Clone(servers)
	r.Shuffle(len(s), func(i, j int) { s[i], s[j] = s[j], s[i] })
	return s
}
