package keystore_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/conf"
	"github.com/zabkeeper/zabkeeper/quorum/quiet/logbook"
	"github.com/zabkeeper/zabkeeper/server/keystore"
)

func base() conf.TLS {
	return conf.TLS{
		KeyStore:   conf.Store{Location: fixture("pkcs8.pem")},
		TrustStore: conf.Store{Location: fixture("trust.pem")},
		Protocol:   "TLSv1.3", HostnameVerification: true,
	}
}

// effective returns the configuration that a connection gets.
func effective(t *testing.T, k *keystore.Keeper) *tls.Config {
	t.Helper()
	cfg, err := k.TLS().GetConfigForClient(&tls.ClientHelloInfo{})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestSettings(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*conf.TLS)
		want   string // oldest-newest version, suites, warnings; or an error
	}{
		{"defaults", func(*conf.TLS) {}, "TLS 1.2-TLS 1.3 []"},
		{"ceiling", func(t *conf.TLS) { t.Protocol = "TLSv1.2" }, "TLS 1.2-TLS 1.2 []"},
		{"old ceiling", func(t *conf.TLS) { t.Protocol = "TLSv1.1" }, "TLS 1.1-TLS 1.1 [] not secure"},
		{"list", func(t *conf.TLS) { t.Protocols = []string{"TLSv1.3"} }, "TLS 1.3-TLS 1.3 []"},
		{"list above the ceiling", func(t *conf.TLS) { t.Protocol, t.Protocols = "TLSv1.2", []string{"TLSv1.3"} }, "leaves none of ssl.enabledProtocols"},
		{"list with a gap", func(t *conf.TLS) { t.Protocols = []string{"TLSv1.1", "TLSv1.3"} }, "TLS 1.1-TLS 1.3 [] leaves out a version"},
		{"suites", func(t *conf.TLS) {
			t.CipherSuites = []string{"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"}
		}, `TLS 1.2-TLS 1.3 [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384] ssl.ciphersuites: \"TLS_DHE_RSA_WITH_AES_128_GCM_SHA256\" is not supported`},
		{"suites of 1.3 alone", func(t *conf.TLS) { t.CipherSuites = []string{"TLS_AES_256_GCM_SHA384"} }, "TLS 1.3-TLS 1.3 []"},
		{"suites of 1.3 below it", func(t *conf.TLS) {
			t.Protocol, t.CipherSuites = "TLSv1.2", []string{"TLS_AES_256_GCM_SHA384"}
		}, "none of ssl.ciphersuites is supported"},
		{"unknown suites", func(t *conf.TLS) { t.CipherSuites = []string{"x"} }, "none of ssl.ciphersuites is supported"},
		{"no trust store", func(t *conf.TLS) { t.TrustStore.Location = "" }, "ssl.trustStore.location"},
		{"no trust store, none wanted", func(t *conf.TLS) { t.TrustStore.Location, t.ClientAuth = "", conf.ClientAuthNone }, "TLS 1.2-TLS 1.3 []"},
		{"no key store", func(t *conf.TLS) { t.KeyStore.Location = "/nowhere.pem" }, "/nowhere.pem"},
	} {
		t.Run(c.name, func(t *testing.T) {
			settings, log := base(), &logbook.Book{}
			c.change(&settings)
			k, err := keystore.Open(keystore.Config{TLS: settings, Logger: zerolog.New(log)})
			if err != nil {
				if !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want %s", err, c.want)
				}
				return
			}
			cfg := effective(t, k)
			var suites []string
			for _, id := range cfg.CipherSuites {
				suites = append(suites, tls.CipherSuiteName(id))
			}
			got := fmt.Sprintf("%s-%s %v", tls.VersionName(cfg.MinVersion), tls.VersionName(cfg.MaxVersion), suites)
			head, warning, _ := strings.Cut(c.want, "] ")
			if got != strings.TrimSuffix(head, "]")+"]" || !strings.Contains(log.Take(), warning) {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if !cfg.SessionTicketsDisabled || !k.TLS().SessionTicketsDisabled {
				t.Error("sessions may be resumed")
			}
		})
	}
}

// keeper holds a copy of fixtures that a test may change.
type keeper struct {
	*keystore.Keeper
	t     *testing.T
	log   logbook.Book
	files conf.TLS
	every time.Duration
	now   time.Time
}

func openCopy(t *testing.T) *keeper {
	t.Helper()
	dir := t.TempDir()
	k := &keeper{t: t, files: base(), every: time.Millisecond, now: time.Now()}
	k.files.KeyStore = conf.Store{Location: filepath.Join(dir, "keys"), Type: keystore.PKCS12, PasswordPath: filepath.Join(dir, "password")}
	k.files.TrustStore.Location = filepath.Join(dir, "trust.pem")
	k.write(k.files.KeyStore.Location, load(t, "openssl.p12"))
	k.write(k.files.KeyStore.PasswordPath, []byte(password+"\n"))
	k.write(k.files.TrustStore.Location, load(t, "trust.pem"))
	k.open()
	return k
}

func (k *keeper) open() {
	k.t.Helper()
	k.log.Take()
	var err error
	k.Keeper, err = keystore.Open(keystore.Config{
		TLS: k.files, Logger: zerolog.New(&k.log), Every: k.every, Now: func() time.Time { return k.now },
	})
	if err != nil {
		k.t.Fatal(err)
	}
}

func (k *keeper) write(path string, data []byte) {
	k.t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		k.t.Fatal(err)
	}
}

// shows names the certificate in use.
func (k *keeper) shows() string {
	return effective(k.t, k.Keeper).Certificates[0].Leaf.Subject.CommonName
}

func TestReloadTellsOnceWhatIsWrong(t *testing.T) {
	k := openCopy(t)
	k.log.Take()
	k.Reload()
	if text := k.log.Take(); text != "" {
		t.Errorf("nothing has changed, and it says %s", text)
	}
	k.write(k.files.KeyStore.PasswordPath, []byte("other"))
	k.Reload()
	if text := k.log.Take(); !strings.Contains(text, "the old ones stay in use") || !strings.Contains(text, "password") || k.shows() != "server" {
		t.Errorf("a wrong password: %s", text)
	}
	// The new store comes after its password.
	k.write(k.files.KeyStore.Location, load(t, "twokeys.jks"))
	k.Reload()
	if text := k.log.Take(); !strings.Contains(text, keystore.ErrPassword.Error()) {
		t.Errorf("a store with another password: %s", text)
	}
	k.write(k.files.KeyStore.PasswordPath, []byte(password))
	k.Reload()
	if text := k.log.Take(); strings.Contains(text, "error") || len(effective(t, k.Keeper).Certificates) != 2 {
		t.Errorf("a store that fits: %s", text)
	}
	k.write(k.files.TrustStore.Location, []byte("nothing"))
	k.Reload()
	if text := k.log.Take(); !strings.Contains(text, "trust store") || !strings.Contains(text, k.files.TrustStore.Location) {
		t.Errorf("a broken trust store: %s", text)
	}
}

// Run sees every way in which a file can change.
func TestRunSeesChanges(t *testing.T) {
	k := openCopy(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	await := func(what string, ready func() bool) {
		t.Helper()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for deadline := time.Now().Add(30 * time.Second); !ready(); <-tick.C {
			if time.Now().After(deadline) {
				t.Fatalf("%s was not seen; log: %s", what, k.log.Take())
			}
		}
	}
	subjects := func() (out []string) {
		for _, c := range effective(t, k.Keeper).Certificates {
			out = append(out, c.Leaf.Subject.CommonName)
		}
		return out
	}
	old := load(t, "openssl.p12")
	for what, step := range map[string]func(data []byte){
		"a file written over": func(data []byte) { k.write(k.files.KeyStore.Location, data) },
		"a file put in its place": func(data []byte) {
			k.write(k.files.KeyStore.Location+".new", data)
			if err := os.Rename(k.files.KeyStore.Location+".new", k.files.KeyStore.Location); err != nil {
				t.Fatal(err)
			}
		},
		"a directory put in the place of another, as Kubernetes replaces secrets": func(data []byte) {
			dir := t.TempDir()
			k.write(filepath.Join(dir, "keys"), data)
			link := filepath.Join(filepath.Dir(k.files.KeyStore.Location), "..data")
			if err := errors.Join(os.Symlink(dir, link+"_tmp"), os.Rename(link+"_tmp", link)); err != nil {
				t.Fatal(err)
			}
			if to, _ := os.Readlink(k.files.KeyStore.Location); to == "..data/keys" {
				return // it points there already
			}
			if err := errors.Join(os.Symlink("..data/keys", k.files.KeyStore.Location+".new"), os.Rename(k.files.KeyStore.Location+".new", k.files.KeyStore.Location)); err != nil {
				t.Fatal(err)
			}
		},
		"a link that points elsewhere": func(data []byte) {
			target := filepath.Join(t.TempDir(), "target")
			k.write(target, data)
			if err := errors.Join(os.Symlink(target, k.files.KeyStore.Location+".new"), os.Rename(k.files.KeyStore.Location+".new", k.files.KeyStore.Location)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		step(load(t, "twokeys.jks"))
		await(what, func() bool { return len(subjects()) == 2 })
		step(old)
		await(what+", again", func() bool { return slices.Equal(subjects(), []string{"server"}) })
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A file of which only a part is written may look whole: it counts once it is at rest, or when an
// operator says that it is.
func TestFilesComeToRestFirst(t *testing.T) {
	today := time.Now() // the bubble's time is before the certificates'
	synctest.Test(t, func(t *testing.T) {
		k := openCopy(t)
		k.every, k.now = 5*time.Second, today
		k.open()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- k.Run(ctx) }()
		trusted := func() (n int) {
			for _, line := range strings.Split(k.log.Take(), "\n") {
				if _, after, found := strings.Cut(line, `"trusted":`); found {
					if _, err := fmt.Sscan(strings.TrimSuffix(after[:strings.IndexAny(after, ",}")], "}"), &n); err != nil {
						t.Error(err)
					}
				}
			}
			return n
		}
		whole := load(t, "trust.pem")
		begin := []byte("-----BEGIN CERTIFICATE-----")
		part := whole[:bytes.LastIndex(whole, begin)]
		all := bytes.Count(whole, begin)
		if n := trusted(); n != all || all < 2 {
			t.Fatalf("%d of %d certificates are trusted", n, all)
		}
		look := func() { <-time.After(5 * time.Second) }
		// Its last certificate is missing when somebody looks, and there at the next look.
		<-time.After(time.Second)
		k.write(k.files.TrustStore.Location, part)
		look()
		k.write(k.files.TrustStore.Location, whole)
		look()
		look()
		if n := trusted(); n != 0 {
			t.Errorf("%d certificates are trusted for a while", n)
		}
		k.write(k.files.TrustStore.Location, part)
		look()
		if n := trusted(); n != 0 {
			t.Errorf("%d certificates are trusted at once", n)
		}
		look()
		if n := trusted(); n != all-1 {
			t.Errorf("%d certificates are trusted, want %d", n, all-1)
		}
		k.write(k.files.TrustStore.Location, whole)
		k.Reload()
		if n := trusted(); n != all {
			t.Errorf("%d certificates are trusted when told to reload, want %d", n, all)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestExpiryIsReportedAhead(t *testing.T) {
	k := openCopy(t)
	if text := k.log.Take(); strings.Contains(text, "warn") || !strings.Contains(text, "certificate in use") {
		t.Errorf("a certificate for a century: %s", text)
	}
	for _, c := range []struct {
		left time.Duration
		want string
	}{
		{31 * 24 * time.Hour, ""},
		{29 * 24 * time.Hour, `"days":29`},
		{29*24*time.Hour - time.Minute, ""}, // once a day
		{27 * 24 * time.Hour, `"days":27`},
		{-time.Hour, "clients will refuse this server"},
	} {
		k.now = k.Expiry().Add(-c.left)
		k.Reload()
		if text := k.log.Take(); (text == "") != (c.want == "") || !strings.Contains(text, c.want) {
			t.Errorf("%v before the end it says %q, want %q", c.left, text, c.want)
		}
	}
	// At the start an expired certificate is reported, not refused: the file may be replaced.
	again := &logbook.Book{}
	late := func() time.Time { return k.Expiry().Add(time.Hour) }
	if _, err := keystore.Open(keystore.Config{TLS: k.files, Logger: zerolog.New(again), Now: late}); err != nil || !strings.Contains(again.Take(), "expired at") {
		t.Errorf("opened with an expired certificate: %v", err)
	}
	// Later one is not taken over.
	k.write(k.files.KeyStore.Location, load(t, "twokeys.jks"))
	k.Reload()
	if text := k.log.Take(); !strings.Contains(text, "the old ones stay") {
		t.Errorf("an expired certificate was taken over: %s", text)
	}
}
