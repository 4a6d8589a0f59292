package quorum_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/zabkeeper/zabkeeper/quorum"
)

func member(n, role string) string {
	return "server." + n + "=10.0.0." + n + ":2888:3888:" + role + ";0.0.0.0:2181"
}

// many returns entries with long names.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "server.%d=%s%d:2888:3888;2181,", i+10, strings.Repeat("x", 200), i)
	}
	return b.String()
}

func three(tb testing.TB) *quorum.Ensemble {
	tb.Helper()
	e, err := quorum.ParseEnsemble(strings.Join([]string{
		member("1", "participant"), member("2", "participant"), member("3", "participant"), "version=100000007",
	}, "\n"))
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// TestReconfigure follows spec semantics 12.3, rows 6 and 7.
func TestReconfigure(t *testing.T) {
	for name, c := range map[string]struct {
		change quorum.Change
		min    int
		want   string // members with roles, such as "1p 4o"; "" with err
		err    error
	}{
		"nothing":                   {quorum.Change{}, 2, "1p 2p 3p", nil},
		"join":                      {quorum.Change{Joining: member("4", "participant")}, 2, "1p 2p 3p 4p", nil},
		"join two, blanks":          {quorum.Change{Joining: " " + member("4", "participant") + " ,, " + member("5", "observer")}, 2, "1p 2p 3p 4p 5o", nil},
		"leave":                     {quorum.Change{Leaving: "3"}, 2, "1p 2p", nil},
		"leave and join":            {quorum.Change{Leaving: "3, 1", Joining: member("3", "observer") + "," + member("9", "participant")}, 2, "2p 3o 9p", nil},
		"demote":                    {quorum.Change{Joining: member("3", "observer")}, 2, "1p 2p 3o", nil},
		"a stranger leaves":         {quorum.Change{Leaving: "77,300"}, 2, "1p 2p 3p", nil},
		"too few":                   {quorum.Change{Leaving: "2,3"}, 2, "", quorum.ErrChange},
		"one is enough":             {quorum.Change{Leaving: "2,3"}, 1, "1p", nil},
		"none":                      {quorum.Change{Leaving: "1,2,3"}, 1, "", quorum.ErrChange},
		"leaving is no number":      {quorum.Change{Leaving: "x"}, 2, "", quorum.ErrNoNumber},
		"joining is no number":      {quorum.Change{Joining: "server.x=h:1:2;3"}, 2, "", quorum.ErrNoNumber},
		"joining out of range":      {quorum.Change{Joining: "server.256=h:1:2;3"}, 2, "", quorum.ErrRange},
		"joining without client":    {quorum.Change{Joining: "server.4=h:1:2"}, 2, "", quorum.ErrChange},
		"joining without value":     {quorum.Change{Joining: "server.4"}, 2, "", quorum.ErrChange},
		"joining with two values":   {quorum.Change{Joining: "server.4=h:1:2;3=4"}, 2, "", quorum.ErrChange},
		"address taken":             {quorum.Change{Joining: "server.4=10.0.0.1:2888:3889;2181"}, 2, "", quorum.ErrChange},
		"client address taken":      {quorum.Change{Joining: "server.4=10.0.0.4:2888:3888;10.0.0.1:3888"}, 2, "", quorum.ErrChange},
		"client on loopback":        {quorum.Change{Joining: "server.4=10.0.0.4:2888:3888;127.0.0.1:2181,server.5=10.0.0.5:2888:3888;127.0.0.1:2181"}, 2, "1p 2p 3p 4p 5p", nil},
		"address of who leaves":     {quorum.Change{Leaving: "1", Joining: "server.4=10.0.0.1:2888:3888;2181"}, 2, "2p 3p 4p", nil},
		"full":                      {quorum.Change{Full: true, NewMembers: member("1", "participant") + "," + member("4", "participant") + "\nversion=77\n#x"}, 2, "1p 4p", nil},
		"full without client":       {quorum.Change{Full: true, NewMembers: "server.1=a:1:2\nserver.2=b:1:2"}, 2, "1p 2p", nil},
		"full, empty":               {quorum.Change{Full: true}, 1, "", quorum.ErrChange},
		"full, one voter":           {quorum.Change{Full: true, NewMembers: member("1", "participant")}, 2, "", quorum.ErrChange},
		"full, unknown key":         {quorum.Change{Full: true, NewMembers: member("1", "participant") + ",dataDir=/x"}, 1, "", quorum.ErrChange},
		"full, no number":           {quorum.Change{Full: true, NewMembers: "server.a=h:1:2"}, 1, "", quorum.ErrNoNumber},
		"full, out of range":        {quorum.Change{Full: true, NewMembers: "server.256=h:1:2"}, 1, "", quorum.ErrRange},
		"full, twice":               {quorum.Change{Full: true, NewMembers: member("1", "participant") + "," + member("1", "participant")}, 1, "", quorum.ErrChange},
		"full, no key":              {quorum.Change{Full: true, NewMembers: "server.1"}, 1, "", quorum.ErrChange},
		"full with groups":          {quorum.Change{Full: true, NewMembers: member("1", "participant") + "," + member("2", "participant") + ",group.1=1:2,weight.1=2"}, 2, "1p 2p", nil},
		"full, a voter in no group": {quorum.Change{Full: true, NewMembers: member("1", "participant") + "," + member("2", "participant") + ",group.1=1"}, 2, "", quorum.ErrChange},
		"too much to keep":          {quorum.Change{Joining: many(200)}, 2, "", quorum.ErrChange},
		"too long":                  {quorum.Change{Joining: strings.Repeat(",", quorum.MaxTextLen+1)}, 2, "", quorum.ErrChange},
	} {
		t.Run(name, func(t *testing.T) {
			was := three(t)
			text := was.ConfigData()
			next, err := was.Reconfigure(c.change, c.min)
			if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if was.ConfigData() != text {
				t.Fatalf("the ensemble itself changed to\n%v", was)
			}
			if err != nil {
				return
			}
			var got []string
			for _, m := range next.Members() {
				got = append(got, m.SID.String()+m.Role.String()[:1])
			}
			if list := strings.Join(got, " "); list != c.want {
				t.Errorf("members %s, want %s", list, c.want)
			}
			if next.Version() != was.Version() {
				t.Errorf("version %v, want %v", next.Version(), was.Version())
			}
		})
	}
}

// An ensemble with groups can only be changed as a whole.
func TestReconfigureGroups(t *testing.T) {
	e, err := three(t).Reconfigure(quorum.Change{
		Full: true, NewMembers: member("1", "participant") + "," + member("2", "participant") + ",group.1=1:2",
	}, 2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Reconfigure(quorum.Change{Leaving: "2"}, 1); !errors.Is(err, quorum.ErrChange) {
		t.Errorf("incremental change: %v", err)
	}
	if _, err := e.Reconfigure(quorum.Change{Full: true, NewMembers: member("1", "participant") + "," + member("3", "participant")}, 2); err != nil {
		t.Errorf("full change: %v", err)
	}
}

func FuzzReconfigure(f *testing.F) {
	f.Add(false, "", member("4", "observer"), "1")
	f.Add(true, member("1", "participant")+",group.1=1", "", "")
	f.Fuzz(func(t *testing.T, full bool, members, joining, leaving string) {
		next, err := three(t).Reconfigure(quorum.Change{Full: full, NewMembers: members, Joining: joining, Leaving: leaving}, 1)
		if err != nil {
			return
		}
		again, err := quorum.ParseEnsemble(next.ConfigData())
		if err != nil || !again.Equal(next) {
			t.Fatalf("%q is read back as %v, %v", next.ConfigData(), again, err)
		}
	})
}
