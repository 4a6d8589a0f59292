package main

import (
	"strings"
	"testing"
)

// A seed that fails is told of with the invariant, the end of its trace and the command that replays it,
// and that command fails it again.
func TestFailureIsExplained(t *testing.T) {
	var out, errs strings.Builder
	args := []string{"-seeds", "20", "-shape", "3", "-tree", "twin", "-mutant", "ack-early", "-last", "5", "-workers", "1"}
	if code := run(args, &out, &errs); code != 1 {
		t.Fatalf("status %d, want 1; stderr %q", code, errs.String())
	}
	text := out.String()
	for _, want := range []string{"FAILED", "I-13 AckMeansDurable", "VIOLATION", "1 failed", "steps"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	_, replay, ok := strings.Cut(text, "go run ./jepsen/sim/cmd/simulate ")
	if !ok {
		t.Fatalf("no command in:\n%s", text)
	}
	replay, _, _ = strings.Cut(replay, "\n")
	var again strings.Builder
	if code := run(strings.Fields(replay), &again, &errs); code != 1 || !strings.Contains(again.String(), "I-13 AckMeansDurable") {
		t.Errorf("%q does not fail again: status %d", replay, code)
	}
}

// The trace can be read for some servers only.
func TestTraceOfSomeServers(t *testing.T) {
	var out, errs strings.Builder
	if code := run([]string{"-seed", "3", "-shape", "3", "-steps", "1500", "-trace", "-server", "2"}, &out, &errs); code != 0 {
		t.Fatalf("status %d; stderr %q", code, errs.String())
	}
	if !strings.Contains(out.String(), " s2.") || strings.Contains(out.String(), "ms s1.") {
		t.Error("the trace is not that of server 2")
	}
}

// Nonsense is refused with status 2.
func TestBadFlags(t *testing.T) {
	for _, args := range [][]string{{"-shape", "x"}, {"-skip", "a"}, {"-server", "-1"}, {"-mutant", "none"}, {"-nonsense"}} {
		var out, errs strings.Builder
		if code := run(args, &out, &errs); code != 2 || errs.Len() == 0 {
			t.Errorf("%v: status %d, stderr %q", args, code, errs.String())
		}
	}
}
