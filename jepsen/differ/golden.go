package differ

import (
	"fmt"
	"slices"
	"strings"

	"github.com/zabkeeper/zabkeeper/proto"
)

// Golden is a script with what its clients must see: a transcript of Apache ZooKeeper, which a
// server can be held against without it.
type Golden struct {
	Comment []string // the lines with # at the top
	Profile string
	Script  Script
	Seen    [][]Line // behind each step, and at the end
}

// linePrefix stands before what was seen, profilePrefix before the profile's name.
const (
	linePrefix    = "    "
	profilePrefix = "profile "
	endStep       = "end"
)

// String writes the file.
func (g *Golden) String() string {
	var b strings.Builder
	for _, c := range g.Comment {
		b.WriteString(c + "\n")
	}
	b.WriteString(profilePrefix + g.Profile + "\n")
	for i := range g.Seen {
		if i < len(g.Script) {
			b.WriteString(g.Script[i].String() + "\n")
		} else {
			b.WriteString(endStep + "\n")
		}
		for _, l := range g.Seen[i] {
			b.WriteString(linePrefix + l.String() + "\n")
		}
	}
	return b.String()
}

// ParseGolden reads a file, or a bare script.
func ParseGolden(text string) (*Golden, error) {
	g := &Golden{}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\n")
		seen, isSeen := strings.CutPrefix(line, linePrefix)
		profile, isProfile := strings.CutPrefix(line, profilePrefix)
		switch {
		case isSeen && len(g.Seen) > 0:
			client, text, _ := strings.Cut(seen, ": ")
			last := len(g.Seen) - 1
			g.Seen[last] = append(g.Seen[last], Line{client, text})
		case strings.HasPrefix(line, "#"):
			g.Comment = append(g.Comment, line)
		case isProfile:
			g.Profile = profile
		case line == endStep:
			g.Seen = append(g.Seen, nil)
		case line != "":
			step, err := ParseStep(line)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			g.Script = append(g.Script, step)
			g.Seen = append(g.Seen, nil)
		}
	}
	return g, nil
}

// Record fills in what the reference of a fresh pair shows.
func (g *Golden) Record(p *Pair) {
	g.Seen = nil
	for _, step := range g.Script {
		g.Seen = append(g.Seen, byClient(p.normal(step, p.Reference.Do(p.forReference(step)))))
	}
	g.Seen = append(g.Seen, byClient(p.normal(Step{Client: endStep}, p.Reference.End())))
}

// Check carries the script out on a side of a fresh server and returns the first difference.
func (g *Golden) Check(s *Side, rules []Rule) *Difference {
	if len(g.Seen) != len(g.Script)+1 {
		return &Difference{Step: "the file has no transcript"}
	}
	p := &Pair{Rules: rules}
	for i, step := range append(slices.Clone(g.Script), Step{Client: endStep}) {
		var seen []Line
		if i < len(g.Script) {
			seen = s.Do(step)
		} else {
			seen = s.End()
		}
		seen = byClient(p.normal(step, seen))
		if !slices.Equal(seen, byClient(p.normal(step, g.Seen[i]))) {
			return &Difference{Script: g.Script[:min(i+1, len(g.Script))], Step: step.String(), Reference: g.Seen[i], Tested: seen}
		}
	}
	return nil
}

// FindOp returns the operation of that name.
func FindOp(name string) (proto.Op, bool) {
	op, ok := named[name]
	return op, ok
}
