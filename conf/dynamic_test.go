package conf_test

import (
	"strings"
	"testing"

	"github.com/zabkeeper/zabkeeper/conf"
)

func TestPointToDynamic(t *testing.T) {
	const static = "# our cluster\ntickTime=2000\r\nserver.1 = a:1:2\n server.2=\\\n  b:1:2\n\n" +
		"clientPort=2181\nzookeeper.clientPortAddress: 10.0.0.1\npeerType=observer\ngroup.1=1:2\nweight.1=3\n" +
		"dynamicConfigFile=/old\n! the end\ndataDir=/x\\\n/y"
	for name, c := range map[string]struct {
		client bool
		want   string
	}{
		"list without the client port": {false, "# our cluster\ntickTime=2000\r\n\nclientPort=2181\nzookeeper.clientPortAddress: 10.0.0.1\n" +
			"! the end\ndataDir=/x\\\n/y\ndynamicConfigFile=/etc/zoo.cfg.dynamic.7\n"},
		"list with it": {true, "# our cluster\ntickTime=2000\r\n\n! the end\ndataDir=/x\\\n/y\ndynamicConfigFile=/etc/zoo.cfg.dynamic.7\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := conf.PointToDynamic([]byte(static), "/etc/zoo.cfg.dynamic.7", c.client)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
			again, err := conf.PointToDynamic(got, "/etc/zoo.cfg.dynamic.7", c.client)
			if err != nil || string(again) != string(got) {
				t.Errorf("a second time it changes to\n%s\n%v", again, err)
			}
		})
	}
	if _, err := conf.PointToDynamic([]byte(`a=\u12`), "/x", false); err == nil {
		t.Error("a file that cannot be read is rewritten")
	}
}

// FuzzPointToDynamic: whatever the file, what is left of it are its other settings and the new one.
func FuzzPointToDynamic(f *testing.F) {
	f.Add("a=1\nserver.1=x\\\n y\nb=2", `C:\dir`)
	f.Add("a=1\\", "/p")
	f.Add("server.1=x\\\\\r\nclientPort=1\r#\n", "/p")
	f.Fuzz(func(t *testing.T, text, path string) {
		if strings.ContainsAny(path, "\r\n\x00") || strings.TrimSpace(path) != path || path == "" || !ascii(path) {
			return
		}
		before, err := conf.Parse("", []byte(text))
		if err != nil {
			return
		}
		out, err := conf.PointToDynamic([]byte(text), path, true)
		if err != nil {
			t.Fatal(err)
		}
		after, err := conf.Parse("", out)
		if err != nil {
			t.Fatalf("%q is no file any more: %v", out, err)
		}
		last := after.Settings[len(after.Settings)-1]
		if last.Key != "dynamicConfigFile" || last.Value != path {
			t.Fatalf("%q ends with %q=%q", out, last.Key, last.Value)
		}
		if len(after.Settings) > len(before.Settings)+1 {
			t.Fatalf("%q has more settings than %q", out, text)
		}
	})
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
