package zktest_test

import (
	"crypto/tls"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/server/zktest"
)

// TestWordsByTLS asks for everything by both ports: each tells of the clients of both, when sessions
// end is in the future, and the stores have a size.
func TestWordsByTLS(t *testing.T) {
	s := startSecured(t, 1, zktest.Set("4lw.commands.whitelist", "*"), zktest.Set("ssl.clientAuth", "none"))
	server := s.Server(1)
	s.connect(t, server)
	s.Connect(t, server)
	byTLS := func(word string) string {
		text, err := ask(tls.Client(dial(t, s.addr(server)), s.config()), word)
		must(t, err)
		return text
	}
	inPlain := func(word string) string {
		text, err := ask(dial(t, server.Addr()), word)
		must(t, err)
		return text
	}
	for _, asked := range []func(string) string{byTLS, inPlain} {
		if cons := asked("cons"); strings.Count(cons, ",sid=0x1") != 2 || !strings.HasSuffix(cons, ")\n\n") {
			t.Errorf("cons: %q", cons)
		}
		dump := asked("dump")
		dates := regexp.MustCompile(`(?m)^\d+ expire at (.*):$`).FindAllStringSubmatch(dump, -1)
		if !strings.Contains(dump, "Session Sets (") || len(dates) < 2 {
			t.Errorf("dump: %q", dump)
		}
		for _, date := range dates {
			at, err := time.ParseInLocation("Mon Jan 2 15:04:05 MST 2006", date[1], time.Local)
			must(t, err)
			if left := time.Until(at); left < -time.Second || left > time.Minute {
				t.Errorf("something ends in %v: %q", left, dump)
			}
		}
		if dirs := asked("dirs"); !regexp.MustCompile(`^datadir_size: [1-9]\d*\nlogdir_size: [1-9]\d*\n$`).MatchString(dirs) {
			t.Errorf("dirs: %q", dirs)
		}
		asked("srst")
		// The clients may have sent pings.
		if mntr := asked("mntr"); !regexp.MustCompile(`\nzk_packets_received\t[1-4]\n`).MatchString(mntr) {
			t.Errorf("mntr behind a reset: %q", mntr)
		}
	}
}
