package conf_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/zabkeeper/zabkeeper/conf"
)

// latin1 turns a string into the ISO-8859-1 bytes of a properties file.
func latin1(t *testing.T, text string) []byte {
	t.Helper()
	var out []byte
	for _, r := range text {
		if r > 0xff {
			t.Fatalf("%q is not ISO-8859-1", text)
		}
		out = append(out, byte(r))
	}
	return out
}

// asMap lets the last setting of a key win.
func asMap(f *conf.File) map[string]string {
	m := make(map[string]string)
	for _, s := range f.Settings {
		m[s.Key] = s.Value
	}
	return m
}

// Editors of Windows put a byte order mark before the first key, which Java takes for a part of it.
func TestParseSkipsByteOrderMark(t *testing.T) {
	f, err := conf.Parse("zoo.cfg", []byte("\xef\xbb\xbfdataDir=C:/d\r\nclientPort=2181\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := asMap(f), map[string]string{"dataDir": "C:/d", "clientPort": "2181"}; !maps.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestParseAgreesWithJava holds Parse against what java.util.Properties (OpenJDK 17)
// made of the same bytes: testdata/PropertiesGolden.java.
func TestParseAgreesWithJava(t *testing.T) {
	golden, err := os.Open("testdata/properties.golden")
	if err != nil {
		t.Fatal(err)
	}
	defer golden.Close()
	cases := 0
	for lines := bufio.NewScanner(golden); lines.Scan(); cases++ {
		var c struct {
			In, Err string
			Out     map[string]string
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		f, err := conf.Parse("f", latin1(t, c.In))
		var refused *conf.Error
		switch {
		case c.Err != "":
			if !errors.As(err, &refused) || refused.Reason != c.Err || refused.Line == 0 {
				t.Errorf("%q: got %v, want the error %s", c.In, err, c.Err)
			}
		case err != nil:
			t.Errorf("%q: %v", c.In, err)
		case !maps.Equal(asMap(f), c.Out):
			t.Errorf("%q: got %q, want %q", c.In, asMap(f), c.Out)
		}
	}
	if cases < 1000 {
		t.Fatalf("only %d cases in the golden file", cases)
	}
}

func TestParseKeepsOrderAndLines(t *testing.T) {
	f, err := conf.Parse("zoo.cfg", []byte("# one\r\na=1\\\r\n  2\r\n\rb=3\n\\\n\n! x\n  c 4\na=5"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range f.Settings {
		got = append(got, s.Origin.String()+" "+s.Key+"="+s.Value)
	}
	want := "zoo.cfg:2 a=12|zoo.cfg:5 b=3|zoo.cfg:9 c=4|zoo.cfg:10 a=5"
	if strings.Join(got, "|") != want {
		t.Errorf("got %s\nwant %s", strings.Join(got, "|"), want)
	}
}

func TestParseRefusals(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"a=b\n\nc=\\u12", `zoo.cfg:3: Malformed \uxxxx encoding.`},
		{strings.Repeat("#", conf.MaxFileSize+1), "zoo.cfg: the file has 1048577 bytes, more than 1048576"},
	} {
		if _, err := conf.Parse("zoo.cfg", []byte(c.text)); err == nil || err.Error() != c.want {
			t.Errorf("%.30q: got %v, want %s", c.text, err, c.want)
		}
	}
}

func TestFormatReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringOf(rapid.SampledFrom([]rune("ab=:# !\\\t\n\r\fé€😀\x01\x7f"))).Filter(func(s string) bool {
			return strings.TrimFunc(s, func(r rune) bool { return r <= ' ' }) == s
		})
		want := conf.Setting{Key: word.Draw(t, "key"), Value: word.Draw(t, "value")}
		f, err := conf.Parse("f", conf.Format([]conf.Setting{want}))
		if err != nil || len(f.Settings) != 1 || f.Settings[0].Key != want.Key || f.Settings[0].Value != want.Value {
			t.Fatalf("%q -> %q -> %+v, %v", want, conf.Format([]conf.Setting{want}), f, err)
		}
	})
}

// FuzzParse: no bytes panic, and what is read survives being printed.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"a=b\\\n c\nd : \\u0041\n#x", "\\", "=\n:", "a\\ b c\r\n\r", "\xe9=\xff\\t", "k=\\ud83d\\ude00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		first, err := conf.Parse("f", text)
		if err != nil {
			return
		}
		again, err := conf.Parse("f", conf.Format(first.Settings))
		if err != nil || len(again.Settings) != len(first.Settings) {
			t.Fatalf("%q -> %q: %d settings became %v, %v", text, conf.Format(first.Settings), len(first.Settings), again, err)
		}
		for i, s := range first.Settings {
			if a := again.Settings[i]; a.Key != s.Key || a.Value != s.Value {
				t.Fatalf("%q: %q=%q became %q=%q", text, s.Key, s.Value, a.Key, a.Value)
			}
			if s.Origin.Line < 1 || i > 0 && s.Origin.Line <= first.Settings[i-1].Origin.Line {
				t.Fatalf("%q: line numbers do not ascend: %v", text, first.Settings)
			}
		}
	})
}
