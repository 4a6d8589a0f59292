package auth_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/zabkeeper/zabkeeper/server/auth"
)

func property(name string) (string, bool) {
	v, ok := map[string]string{"file.separator": "/", "user.home": "/home/zk", "empty": ""}[name]
	return v, ok
}

// TestJAASAsJava reads what the JDK has read, and wants the same of it.
func TestJAASAsJava(t *testing.T) {
	text, err := os.ReadFile("testdata/jaas.out")
	if err != nil {
		t.Fatal(err)
	}
	cases := strings.Split(strings.TrimSuffix(string(text), "----\n"), "----\n")
	if len(cases) < 40 {
		t.Fatalf("only %d files of testdata", len(cases))
	}
	for _, c := range cases {
		in, want, _ := strings.Cut(c, "====\n")
		if strings.HasPrefix(in, "= {") {
			want = "refused\n" // the JDK takes a section without a name
		}
		sections, err := auth.ParseJAAS("jaas.conf", []byte(in), property)
		if got := show(sections, err); got != want {
			t.Errorf("%s: got (error %v)\n%swant\n%s", in, err, got, want)
		}
	}
}

// show prints sections as testdata/JaasProbe.java does.
func show(sections []auth.JAASSection, err error) string {
	if err != nil {
		return "refused\n"
	}
	hex := func(s string) string {
		if s == "" {
			return `""`
		}
		return fmt.Sprintf("%x", s)
	}
	var b strings.Builder
	for _, name := range []string{"Server", "A", "B", "a b"} {
		for _, s := range sections {
			if s.Name != name || len(s.Modules) == 0 {
				continue
			}
			fmt.Fprintln(&b, "section", name)
			for _, m := range s.Modules {
				fmt.Fprintln(&b, " module", m.Class, m.Flag)
				options := map[string]string{}
				for _, o := range m.Options {
					options[o.Name] = o.Value
				}
				for _, k := range slices.Sorted(maps.Keys(options)) {
					fmt.Fprintln(&b, " ", hex(k), hex(options[k]))
				}
			}
		}
	}
	return b.String()
}

// TestJAASErrors: an error names file and line, and no value.
func TestJAASErrors(t *testing.T) {
	for in, want := range map[string]string{
		"Server {\n a.B required\n user_bob=hush\n};":            "jaas.conf:4: expected the name of an option, or ;, found }",
		"Server {\n a.B required\n user_bob=4hush;\n};":          "jaas.conf:3: a text that begins with a digit, a dot or a minus must be in double quotes",
		"Server {\n a.B required\n user_bob=\"hush\n\";\n};":     "jaas.conf:3: a quote without an end",
		"Server {\n a.B required\n user_bob \"hush\";\n};":       "jaas.conf:3: expected =, found a text",
		"Server {\n a.B required\n user_bob=\"hush\" hush2;\n};": "jaas.conf:3: expected =, found ;",
		"Server {\n a.B hush user_bob=\"hush\";\n};":             "jaas.conf:2: a control flag is required, requisite, sufficient or optional",
		"/* \r\n\r\n */ Server {\r\n a.B required }":             "jaas.conf:4: expected the name of an option, or ;, found }",
		"Server { a.B required; };\nServer { a.B required; };":   "jaas.conf:2: the section Server is there twice",
		"Server {\n a.B required\n x=\"hush${hush}\";\n};":       "jaas.conf:3: a value has ${...} in it that names nothing known here; a password must not contain ${",
		"Server { a.B required x=\"${empty}\"; };":               "jaas.conf:1: a value is empty once ${...} is resolved",
		"Server { a.B required x='hush'; };":                     "jaas.conf:1: expected the value of an option: a word, or a text in double quotes, found '",
		"Server { a.B required x=\"hush\xff\"; };":               "jaas.conf:1: the file is not in UTF-8",
		"Server {\n a.B required; // it ends\n":                  "jaas.conf:3: expected the class of a login module, found the end of the file",
		"Server {\n a.B required x=\"hush\\":                     "jaas.conf:2: a quote without an end",
		"Server { a.B required;\n\n /* no end\n":                 "jaas.conf:3: a comment without an end",
		"Server {\n a.B required \x00\U0001f600=y\r;\r\r = };\n": "jaas.conf:5: expected the class of a login module, found =",
	} {
		_, err := auth.ParseJAAS("jaas.conf", []byte(in), property)
		var at *auth.JAASError
		if !errors.As(err, &at) || err.Error() != want {
			t.Errorf("%q: error %v, want %s", in, err, want)
		} else if strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: the error tells a value: %v", in, err)
		}
	}
}

func TestJAASUsers(t *testing.T) {
	const digest = "org.apache.zookeeper.server.auth.DigestLoginModule required "
	for in, want := range map[string]string{
		digest + `user_super="adminsecret" user_bob=b debug=true;`: "map[bob:b super:adminsecret]",
		digest + `user_a="1";` + digest + `user_b="2" user_a="3";`: "map[a:3 b:2]",
		digest + `username="bob" password="b";`:                    "map[]",
		digest + `user_="nobody" "user_a b"="${user.home}";`:       "map[:nobody a b:/home/zk]",

		"\ncom.sun.security.auth.module.Krb5LoginModule required\n useKeyTab=true;": "jaas.conf:2: section Server asks for Kerberos, which is not supported",
		digest + ";\n\ncom.ibm.Krb5LoginModule required;":                           "jaas.conf:3: section Server asks for Kerberos, which is not supported",
		"com.example.Login required user_bob=b;":                                    "jaas.conf:1: section Server: the login module is not known, org.apache.zookeeper.server.auth.DigestLoginModule is",
	} {
		sections, err := auth.ParseJAAS("jaas.conf", []byte("Server { "+in+" };"), property)
		if err != nil {
			t.Fatal(err)
		}
		users, err := sections[0].Users("jaas.conf")
		if got := fmt.Sprint(users); err == nil && got != want || err != nil && err.Error() != want {
			t.Errorf("%q: %s, error %v, want %s", in, got, err, want)
		}
	}
}

func FuzzJAAS(f *testing.F) {
	text, err := os.ReadFile("testdata/jaas.in")
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range strings.Split(string(text), "----\n") {
		f.Add([]byte(c))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		sections, err := auth.ParseJAAS("jaas.conf", in, property)
		var at *auth.JAASError
		if err != nil && (!errors.As(err, &at) || at.Line < 1 || at.Line > 1+strings.Count(string(in), "\n")+strings.Count(string(in), "\r")) {
			t.Fatalf("error %v of %q", err, in)
		}
		for i := range sections {
			if _, err := sections[i].Users("jaas.conf"); err != nil && !errors.As(err, &at) {
				t.Fatal(err)
			}
		}
	})
}
