package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/zabkeeper/zabkeeper/jepsen/mutants"
)

func TestListAndDiff(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"list"}, &out); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(out.String(), "\n"); got <= len(mutants.All()) {
		t.Errorf("%d lines for %d mutants and those of the simulator", got, len(mutants.All()))
	}
	out.Reset()
	if err := run(t.Context(), []string{"diff", "skip-trunc"}, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "zab/learner_sync.go\n-") || !strings.Contains(out.String(), "\n+") {
		t.Errorf("diff prints %q", out.String())
	}
}

func TestNonsenseIsRefused(t *testing.T) {
	for _, args := range [][]string{{}, {"dance"}, {"diff"}, {"diff", "nobody"}, {"run", "nobody"}, {"run", "-dance"}} {
		if err := run(t.Context(), args, &bytes.Buffer{}); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
}

// A mutant dies and another suite does not notice it: both are told, and only the killers count.
func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"run", "-also", "session", "half-is-enough"}, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{"killed by TestVerifierAgreesWithDefinition", "session", "not noticed", "2 trials"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
