package differ

import (
	"slices"
	"strings"

	"github.com/zabkeeper/zabkeeper/proto"
)

// Rule is one intended deviation from Apache ZooKeeper. Whatever no rule covers is a defect.
type Rule struct {
	Name string
	// Spec is where the deviation is decided.
	Spec string
	// Reference gives the reference another step in place of one, whose outcome is the wanted
	// one; nil: the same.
	Reference func(Step) Step
	// Lines brings what was seen into a form in which it can be compared; nil: as it is. It
	// works alike on both sides.
	Lines func(Step, []Line) []Line
}

// Deviations are the rules that hold for every server.
func Deviations() []Rule { return slices.Concat(otherSteps(), unscripted(), otherLines()) }

// otherSteps are those that give the reference another step.
func otherSteps() []Rule {
	return []Rule{
		{
			Name:      "internal operations are unknown to clients",
			Spec:      "semantics 17 rows 4 and 5; client-protocol 6.1: createSession and deleteContainer from a client are refused like an unknown opcode",
			Reference: eachRequest(unknownInternal),
		},
		{
			Name:      "createTTL needs a TTL mode",
			Spec:      "semantics 17 row 2: createTTL with flags 0..4 and ttl -1 is -8, where the reference dies; inside a multi it is a plain create on both",
			Reference: eachRequest(badTTLMode),
		},
		{
			Name:      "setWatches with a null list does nothing",
			Spec:      "client-protocol 6.4: null vectors are -5; the reference carries out the lists before the null one",
			Reference: eachRequest(allNull),
		},
		{
			Name:      "a null sasl token is an empty one",
			Spec:      "client-protocol 7.2: without SASL every token is answered with a null one; the reference hangs up on null by an internal error",
			Reference: eachRequest(emptyToken),
		},
	}
}

// unscripted are those that need nothing here: scripts are made so that they do not depend on them,
// or the sides do what they say.
func unscripted() []Rule {
	return []Rule{
		{
			// The servers' zxids are told without such ones: see names.skip.
			Name: "an undecodable write spends no zxid",
			Spec: "client-protocol 6.4: bodies are decoded before anything is proposed; the reference proposes a failed multi, and what a null path made of a request",
		},
		{
			// The old connection is written to: see Side.moved.
			Name: "a moved session ends its old connection",
			Spec: "semantics 9.4, client-protocol 4.5: at once; the reference ends it at its next write, and spends a zxid on that",
		},
		{
			// All that goes behind one step has the zxid of the last: see Side.settle.
			Name: "the cleaner has no order",
			Spec: "semantics 11.1: containers and nodes with a time to live go when their turn comes; the reference collects them in an unordered set",
		},
		{
			// Scripts have no empty user and no maxbuf that is no number.
			Name: "a SASL response that cannot be judged is a wrong one",
			Spec: "client-protocol 7.2: -115; the reference hangs up by an internal error on these two",
		},
		{
			// Scripts have no write behind a setACL in one burst.
			Name: "a pending setACL counts",
			Spec: "semantics 3: writes are checked against all that was proposed before; the reference checks them against the list before a setACL that is not applied yet",
		},
		{
			// Scripts have no such request in a burst.
			Name: "a container is no ephemeral node",
			Spec: "semantics 4: op 19 makes containers of flags 1 and 3, too; until that is applied the reference takes them for the session's",
		},
		{
			// Scripts have no null id or scheme in longer lists.
			Name: "a null id in an access control list is refused",
			Spec: "semantics 7.3: world with a null id is -5, a null scheme -114; the reference has internal errors (-5) for some other null parts, by what stands before them",
		},
	}
}

// otherLines are those about what is seen.
func otherLines() []Rule {
	return []Rule{
		{
			Name:  "auth and sasl answer in order",
			Spec:  "client-protocol 7.1: the reference's answer may overtake those of earlier requests",
			Lines: authLast,
		},
		{
			Name:  "nothing stands behind a header with an error",
			Spec:  "client-protocol 5.2: the reference adds the terminator of a list to a multiRead's -5, and a null token to a refused sasl",
			Lines: bareErrors,
		},
		{
			Name:  "the end of a session has no order",
			Spec:  "semantics 9.3: the ephemeral nodes of a session are deleted in the order of an unordered set",
			Lines: unorderedDeletions,
		},
		{
			Name:  "strings come back as they were",
			Spec:  "client-protocol 1: the reference writes characters above U+FFFF as two surrogates",
			Lines: surrogates,
		},
	}
}

// EnsembleDeviations are the rules that hold as well when one of the servers is in an ensemble.
func EnsembleDeviations() []Rule {
	return append(Deviations(), Rule{
		// Scripts do not touch the node: see Weights.Ensemble.
		Name:  "the configuration is the ensemble's own",
		Spec:  "semantics 12.2: empty for a standalone server, else the members with their addresses",
		Lines: withoutConfig,
	})
}

// withoutConfig leaves out what the tree's description says about the configuration.
func withoutConfig(step Step, lines []Line) []Line {
	return slices.DeleteFunc(slices.Clone(lines), func(l Line) bool {
		return step.Act == Send && len(step.Requests) == 0 && strings.HasPrefix(l.Text, `"`+configPath+`" `)
	})
}

// eachRequest applies change to every request of a step.
func eachRequest(change func(*Request)) func(Step) Step {
	return func(s Step) Step {
		if s.Act != Send {
			return s
		}
		s = s.clone()
		for i := range s.Requests {
			change(&s.Requests[i])
		}
		return s
	}
}

// unassigned is an operation that nobody knows.
const unassigned proto.Op = 99

func unknownInternal(r *Request) {
	if r.Op == proto.OpCreateSession || r.Op == proto.OpDeleteContainer {
		r.Op, r.Args, r.Raw, r.HasRaw = unassigned, nil, nil, true
	}
}

// badMode is no create mode.
const badMode = 9

func badTTLMode(r *Request) {
	if r.Op != proto.OpCreateTTL || r.HasRaw {
		return
	}
	if mode := r.Args[3].N; mode >= 0 && mode <= 4 && r.Args[4].N < 0 {
		r.Args = slices.Clone(r.Args)
		r.Args[3].N = badMode
	}
}

// allNull makes all lists null when one is.
func allNull(r *Request) {
	if (r.Op != proto.OpSetWatches && r.Op != proto.OpSetWatches2) || r.HasRaw {
		return
	}
	if slices.ContainsFunc(r.Args, func(a Arg) bool { return a.Null }) {
		r.Args = slices.Clone(r.Args)
		for i := range r.Args[1:] {
			r.Args[i+1].Null = true
		}
	}
}

func emptyToken(r *Request) {
	if r.Op == proto.OpSASL && !r.HasRaw {
		r.Args = []Arg{{Text: r.Args[0].Text}}
	}
}

// authLast puts the answers to auth and sasl behind the others of a burst.
func authLast(step Step, lines []Line) []Line {
	if len(step.Requests) < 2 {
		return lines
	}
	lines = slices.Clone(lines)
	slices.SortStableFunc(lines, func(a, b Line) int { return overtakes(a) - overtakes(b) })
	return lines
}

func overtakes(l Line) int {
	if strings.HasPrefix(l.Text, "auth ") || strings.HasPrefix(l.Text, "sasl ") {
		return 1
	}
	return 0
}

// bareErrors leaves out what stands behind errors.
func bareErrors(_ Step, lines []Line) []Line {
	lines = slices.Clone(lines)
	for i := range lines {
		if text, _, more := strings.Cut(lines[i].Text, " !more "); more && strings.Contains(text, " err ") {
			lines[i].Text = text
		}
	}
	return lines
}

// unorderedDeletions sorts neighbouring events of one transaction when a session ends.
func unorderedDeletions(step Step, lines []Line) []Line {
	ends := step.Client == endStep || step.Act == Silent || step.Act == Vanish || slices.ContainsFunc(step.Requests, func(r Request) bool { return r.Op == proto.OpCloseSession })
	if !ends {
		return lines
	}
	lines = slices.Clone(lines)
	sortEvents(lines)
	return lines
}

func isEvent(l Line) bool { return strings.HasPrefix(l.Text, "event ") }

// surrogates writes characters above U+FFFF, and what the reference makes of them, alike. Scripts
// use one such character. The second form is what a multi of the reference stores, and what its
// learners have of any write: there the id was written and read once more.
func surrogates(_ Step, lines []Line) []Line {
	lines = slices.Clone(lines)
	r := strings.NewReplacer(`\xed\xa0\xbd\xed\xb8\x80`, `\U0001f600`, `a:\ufffd\ufffd"`, `a:\U0001f600"`)
	for i := range lines {
		lines[i].Text = r.Replace(lines[i].Text)
	}
	return lines
}
