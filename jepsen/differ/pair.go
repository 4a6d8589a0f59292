package differ

import (
	"fmt"
	"slices"
	"strings"
)

// Pair is the reference and the server under test, in lock step.
type Pair struct {
	Reference, Tested *Side
	Rules             []Rule

	// Outcomes counts what the reference answered, by operation and code, and its events: what
	// never happens has not been compared.
	Outcomes map[string]int
}

// Difference is the first thing that clients see differently.
type Difference struct {
	Script            Script // up to and including the step
	Step              string // which step, "end" for what is seen when all sessions have ended
	Reference, Tested []Line
}

// Error says what differs: lines with - are the reference's alone, those with + the tested
// server's.
func (d *Difference) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", d.Step)
	for _, l := range d.Reference {
		if !slices.Contains(d.Tested, l) {
			fmt.Fprintf(&b, "    - %v\n", l)
		}
	}
	for _, l := range d.Tested {
		if !slices.Contains(d.Reference, l) {
			fmt.Fprintf(&b, "    + %v\n", l)
		}
	}
	if slices.ContainsFunc(d.Tested, func(l Line) bool { return slices.Contains(d.Reference, l) }) {
		fmt.Fprintf(&b, "  all that was seen of the reference:\n")
		for _, l := range d.Reference {
			fmt.Fprintf(&b, "    %v\n", l)
		}
	}
	return b.String()
}

// both does something on both sides at once.
func (p *Pair) both(do func(*Side) []Line) (reference, tested []Line) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		reference = do(p.Reference)
	}()
	tested = do(p.Tested)
	<-done
	return reference, tested
}

// Run carries a script out on both sides and returns the first difference that no rule allows,
// nil if there is none.
func (p *Pair) Run(script Script) *Difference {
	for i, step := range script {
		reference, tested := p.both(func(s *Side) []Line {
			if s == p.Reference {
				return s.Do(p.forReference(step))
			}
			return s.Do(step)
		})
		p.count(reference)
		if !p.same(step, reference, tested) {
			return &Difference{Script: script[:i+1], Step: step.String(), Reference: reference, Tested: tested}
		}
	}
	reference, tested := p.both((*Side).End)
	if !p.same(Step{Client: endStep}, reference, tested) {
		return &Difference{Script: script, Step: endStep, Reference: reference, Tested: tested}
	}
	return nil
}

// count counts outcomes.
func (p *Pair) count(lines []Line) {
	if p.Outcomes == nil {
		p.Outcomes = map[string]int{}
	}
	for _, l := range lines {
		words := strings.Fields(l.Text)
		kind := words[0]
		switch {
		case kind == "event" && len(words) > 2:
			kind += " " + words[2]
		case len(words) > 3 && words[2] == "err":
			kind += " " + words[3]
		}
		p.Outcomes[kind]++
	}
}

// Reset brings both sides to the same empty tree. After an error the servers must be replaced.
func (p *Pair) Reset() error {
	var failed [2]error
	reference, tested := p.both(func(s *Side) []Line {
		lines, err := s.Reset()
		if s == p.Reference {
			failed[0] = err
		} else {
			failed[1] = err
		}
		return lines
	})
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	if !p.same(Step{Client: "reset"}, reference, tested) {
		return fmt.Errorf("differ: reset: %w", &Difference{Step: "reset", Reference: reference, Tested: tested})
	}
	return nil
}

// forReference returns the step that the reference is given: a rule may give it another one,
// whose outcome is what the tested server must do.
func (p *Pair) forReference(step Step) Step {
	for _, r := range p.Rules {
		if r.Reference != nil {
			step = r.Reference(step)
		}
	}
	return step
}

// same reports whether what was seen is the same, but for what a rule allows.
func (p *Pair) same(step Step, reference, tested []Line) bool {
	return slices.Equal(byClient(p.normal(step, reference)), byClient(p.normal(step, tested)))
}

// normal applies the rules.
func (p *Pair) normal(step Step, lines []Line) []Line {
	for _, r := range p.Rules {
		if r.Lines != nil {
			lines = r.Lines(step, lines)
		}
	}
	return lines
}

// byClient sorts lines by client: between connections there is no order (spec semantics 8.6).
func byClient(lines []Line) []Line {
	lines = slices.Clone(lines)
	slices.SortStableFunc(lines, func(a, b Line) int { return strings.Compare(a.Client, b.Client) })
	return lines
}
