package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zabkeeper/zabkeeper/jepsen/differ"
	"github.com/zabkeeper/zabkeeper/proto"
)

func TestCommandLine(t *testing.T) {
	both := []string{"--binary", "x", "--apache", "y"}
	for _, tc := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--help"}, 0, "--seeds"},
		{nil, 2, "are needed"},
		{append(both, "more"), 2, "unexpected"},
		{append(both, "--target", "leading"), 2, "no shape"},
		{append(both, "--reference", ""), 2, "no shape"},
		{append(both, "--profiles", "usual,other"), 2, "no profile"},
		{append(both, "--without", "nothing"), 1, "no operation"},
		{append(both, "--replay", filepath.Join(t.TempDir(), "none")), 1, "no such file"},
		{both, 1, "jars"},
	} {
		var out, complaints strings.Builder
		if code := command(t.Context(), tc.args, &out, &complaints); code != tc.code {
			t.Errorf("%q: exit code %d, want %d", tc.args, code, tc.code)
		}
		if says := strings.ReplaceAll(complaints.String(), "  -", "  --"); !strings.Contains(says, tc.says) {
			t.Errorf("%q: %q, want %q", tc.args, says, tc.says)
		}
	}
}

// TestReplayRefuses: a file that is no script is not taken for an empty one.
func TestReplayRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(file, []byte("# a comment\na nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, complaints strings.Builder
	code := command(t.Context(), []string{"--binary", "x", "--apache", "y", "--replay", file}, &out, &complaints)
	if code != 1 || !strings.Contains(complaints.String(), "line 2") {
		t.Errorf("exit code %d, %q", code, complaints.String())
	}
}

// TestEnsembleOfTheReferenceIsSpared: no write with a broken body reaches it.
func TestEnsembleOfTheReferenceIsSpared(t *testing.T) {
	l := lab{o: &options{mirror: differ.Follower, without: "sync,multi"}, profile: differ.Profiles()[0]}
	w, err := l.weights()
	if err != nil {
		t.Fatal(err)
	}
	steps := 0
	for seed := range uint64(100) {
		for _, step := range differ.Generate(seed, 100, w) {
			for _, r := range step.Requests {
				steps++
				if r.Op == proto.OpSync || r.Op == proto.OpMulti {
					t.Errorf("%v is left out", r.Op)
				}
				if r.Cut > 0 && r.Op.IsWrite() || r.Op == proto.OpCreate && r.Args[0].Null {
					t.Errorf("broken: %v", step)
				}
			}
		}
	}
	if steps < 1000 {
		t.Errorf("only %d steps", steps)
	}
}
