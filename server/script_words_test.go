package server_test

import (
	"encoding/hex"
	"regexp"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// passing are the parts of the answers to words that are different each time.
var passing = []struct {
	found *regexp.Regexp
	shown string
}{
	{regexp.MustCompile(`/127\.0\.0\.1:\d+`), "/somebody"},
	{regexp.MustCompile(`,est=\d{13},`), ",est=T,"},
	// A connection whose counters were reset shows zxid -1.
	{regexp.MustCompile(`(,lzxid=0x[0-9a-f]{1,15}),lresp=\d+,llat=\d+,minlat=\d+,avglat=\d+,maxlat=\d+\)`), "$1,lresp=T,...)"},
	{regexp.MustCompile(`expire at [A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d [A-Z0-9+-]{3,5} \d{4}:`), "expire at T:"},
}

// argument returns the bytes that follow a word.
func argument(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	var text string
	d.MaybeScanArgs(t, "hex", &text)
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// anonymous gives clients and sessions in the answer to a word the names that they have in the
// script, and takes out what is different each time.
func (s *script) anonymous(text string) string {
	var names []string
	for name, c := range s.clients {
		names = append(names, c.nc.LocalAddr().String()+"[", name+"[", c.nc.LocalAddr().String()+" ", name+" ")
		if c.session != 0 {
			names = append(names, c.session.String(), name)
		}
	}
	text = strings.NewReplacer(names...).Replace(text)
	for _, p := range passing {
		text = p.found.ReplaceAllString(text, p.shown)
	}
	return text
}
