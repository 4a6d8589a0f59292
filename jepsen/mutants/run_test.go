package mutants

import (
	"strings"
	"testing"
)

// What go test says of a run, and what is made of it.
func TestVerdict(t *testing.T) {
	tests := []struct {
		name, out string
		bad       bool
		want      string
		err       string
	}{
		{
			name: "passes",
			out:  `{"Action":"run","Test":"TestA"}` + "\n" + `{"Action":"pass","Test":"TestA"}` + "\n" + `{"Action":"pass"}`,
		},
		{
			name: "a part fails",
			out: `{"Action":"run","Test":"TestA"}` + "\n" + `{"Action":"run","Test":"TestA/x"}` + "\n" +
				`{"Action":"fail","Test":"TestA/x"}` + "\n" + `{"Action":"fail","Test":"TestA"}` + "\n" + `{"Action":"fail"}`,
			bad:  true,
			want: "TestA/x",
		},
		{
			name: "the process dies",
			out: `{"Action":"run","Test":"TestA"}` + "\n" + `{"Action":"pass","Test":"TestA"}` + "\n" +
				`{"Action":"run","Test":"TestB"}` + "\n" + `{"Action":"output","Output":"panic: test timed out"}` + "\n" + `{"Action":"fail"}`,
			bad:  true,
			want: "TestB",
		},
		{
			name: "does not build",
			out: `{"ImportPath":"x","Action":"build-output","Output":"x.go:1: no\n"}` + "\n" +
				`{"ImportPath":"x","Action":"build-fail"}` + "\n" + `{"Action":"fail","FailedBuild":"x"}`,
			bad: true,
			err: "does not build: x.go:1: no",
		},
		{name: "nothing runs", out: `{"Action":"output","Output":"no tests to run"}` + "\n" + `{"Action":"pass"}`, err: "no test has run"},
		{
			name: "fails without a test",
			out:  `{"Action":"run","Test":"TestA"}` + "\n" + `{"Action":"pass","Test":"TestA"}` + "\n" + `{"Action":"fail"}`,
			bad:  true, err: "no test did",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			failed, err := verdict([]byte(tt.out), tt.bad)
			if got := strings.Join(failed, " "); got != tt.want {
				t.Errorf("failed: %q, want %q", got, tt.want)
			}
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}
