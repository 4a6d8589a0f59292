package node_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zabkeeper/zabkeeper/server/node"
)

const (
	offerSASL   = "authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider"
	requireSASL = "sessionRequireClientSASLAuth=true"
	listBob     = "Server {\n org.apache.zookeeper.server.auth.DigestLoginModule required\n user_bob=\"hush\";\n};\n"
)

// jaas writes a JAAS file and returns the setting that names it.
func jaas(t *testing.T, text string) (name, setting string) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "jaas.conf")
	must(t, os.WriteFile(name, []byte(text), 0o600))
	return name, "java.security.auth.login.config=" + name
}

// TestJAASFilesThatAreRefused: what a JAAS file says of the server's section must be right, and
// when clients must log in it must say who they are. Nothing of it is served before.
func TestJAASFilesThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		lines []string
		want  string // behind the name of the file
	}{
		"Kerberos":                      {"Server {\n com.sun.security.auth.module.Krb5LoginModule required\n useKeyTab=true;\n};", nil, ":2: section Server asks for Kerberos, which is not supported"},
		"another login module":          {"Server { com.example.Login required; };", nil, ":1: section Server: the login module is not known"},
		"a syntax error":                {"Server {\n a.B required\n user_bob=hush\n};", nil, ":4: expected"},
		"a syntax error elsewhere":      {listBob + "Client {", nil, ":5: expected"},
		"no section, but SASL required": {"Client { a.B required; };", []string{requireSASL}, ": SASL is required, and the section Server is not there"},
		"another section of that name":  {listBob, []string{"sasl.serverconfig=ZK", requireSASL}, ": SASL is required, and the section ZK is not there"},
	} {
		t.Run(name, func(t *testing.T) {
			file, setting := jaas(t, c.text)
			err := refused(t, node.Config{
				Conf: config(t, "", append(c.lines, "clientPort=1", offerSASL, setting)...), FS: vfs.NewMem(), ClientListener: reserve(t),
			})
			if node.ExitCode(err) != node.ExitConfig || !strings.Contains(err.Error(), file+c.want) || strings.Contains(err.Error(), "hush") {
				t.Errorf("error %v, want %s%s", err, file, c.want)
			}
		})
	}
	for name, c := range map[string]struct{ line, want string }{
		"a missing file": {"java.security.auth.login.config=/does/not/exist", "java.security.auth.login.config: open /does/not/exist"},
		"no file at all": {requireSASL, "SASL is required, and java.security.auth.login.config names no file with users"},
	} {
		err := refused(t, node.Config{
			Conf: config(t, "", "clientPort=1", offerSASL, c.line), FS: vfs.NewMem(), ClientListener: reserve(t),
		})
		if node.ExitCode(err) != node.ExitConfig || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %s", name, err, c.want)
		}
	}
}

// TestJAASFilesThatAreTaken: a section that is not there does no harm, as with ZooKeeper, unless
// SASL is required; a file may be named by a URL.
func TestJAASFilesThatAreTaken(t *testing.T) {
	for name, lines := range map[string]func(file, setting string) []string{
		"users":              func(_, setting string) []string { return []string{offerSASL, setting, requireSASL} },
		"users without ACLs": func(_, setting string) []string { return []string{setting} },
		"a URL":              func(file, _ string) []string { return []string{"java.security.auth.login.config=file://" + file} },
		"an equals sign":     func(file, _ string) []string { return []string{"java.security.auth.login.config==" + file} },
		"no section":         func(_, setting string) []string { return []string{setting, "sasl.serverconfig=ZK"} },
		"no file":            func(string, string) []string { return []string{offerSASL} },
		"a password to nothing": func(_, setting string) []string {
			return []string{setting, "SASLAuthenticationProvider.superPassword=x"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			file, setting := jaas(t, listBob)
			startStandalone(t, vfs.NewMem(), lines(file, setting)...).stop()
		})
	}
}
