package conf_test

import (
	"fmt"
	"testing"

	"github.com/zabkeeper/zabkeeper/conf"
)

func TestParseJVMFlags(t *testing.T) {
	for _, c := range []struct {
		text, want string
		ignored    int
	}{
		{"", "", 0},
		{"-Dzookeeper.tickTime=500 -Djute.maxbuffer=0x100", "zookeeper.tickTime=500;jute.maxbuffer=0x100;", 0},
		{" -Xmx1000m  -Da=b\t-XX:+UseG1GC\n-javaagent:x=y Main ", "a=b;", 4},
		{`-Da="b c" '-Dd=e f' -Dg=h' 'i`, "a=b c;d=e f;g=h i;", 0},
		{`-Da=\"b\ c\" -Dp=C:\data\zk -Dq="x\"y" -Ds='a\b\'`, `a="b c";p=C:\data\zk;q=x"y;s=a\b\;`, 0},
		{`-Da="b c -Dd=e`, "a=b c -Dd=e;", 0},
		{"-Da -Db= -D -D=x", "a=;b=;", 2},
		{"-Da=b=c", "a=b=c;", 0},
		{`"" ''`, "", 2},
	} {
		settings, ignored := conf.ParseJVMFlags("JVMFLAGS", c.text)
		got := ""
		for _, s := range settings {
			got += s.Key + "=" + s.Value + ";"
			if s.Origin.String() != "JVMFLAGS" {
				t.Errorf("%q: origin %v", c.text, s.Origin)
			}
		}
		if got != c.want || ignored != c.ignored {
			t.Errorf("%q: got %s and %d ignored, want %s and %d", c.text, got, ignored, c.want, c.ignored)
		}
	}
}

func TestFromEnvironment(t *testing.T) {
	env := map[string]string{
		"SERVER_JVMFLAGS":                "-Xmx1000m -Dzookeeper.tickTime=1",
		"JVMFLAGS":                       "-Dzookeeper.tickTime=2 -verbose:gc",
		"KAFKA_OPTS":                     "-Dzookeeper.4lw.commands.whitelist=*",
		"ZOO_DATADIR_AUTOCREATE_DISABLE": "1",
		"OTHER":                          "-Dx=y",
	}
	settings, ignored := conf.FromEnvironment(func(k string) string { return env[k] })
	got := fmt.Sprint(settings, ignored)
	const want = "[{zookeeper.4lw.commands.whitelist * KAFKA_OPTS} {zookeeper.tickTime 1 SERVER_JVMFLAGS} " +
		"{zookeeper.tickTime 2 JVMFLAGS} {zookeeper.datadir.autocreate false ZOO_DATADIR_AUTOCREATE_DISABLE}] 2"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// FuzzParseJVMFlags: no text panics, every setting has a key, and there are never
// more words than the text has room for.
func FuzzParseJVMFlags(f *testing.F) {
	for _, seed := range []string{`-Da=b -Xmx1g "-Dc=d e"`, `'`, `\`, `-D\ =x`, "-Da=\\\n-Db"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		settings, ignored := conf.ParseJVMFlags("V", text)
		if n := len(settings) + ignored; n > (len(text)+1)/2 {
			t.Fatalf("%q: %d words", text, n)
		}
		for _, s := range settings {
			if len(s.Key)+len(s.Value)+2 > len(text) {
				t.Fatalf("%q: setting %q=%q is longer than the text", text, s.Key, s.Value)
			}
		}
	})
}
