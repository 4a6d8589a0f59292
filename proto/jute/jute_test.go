package jute_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/zabkeeper/zabkeeper/proto/jute"
)

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		tb.Fatalf("bad hex %q: %v", s, err)
	}
	return b
}

func TestReads(t *testing.T) {
	c := jute.NewCursor(unhex(t, "80000000 ffffffffffffff9b 00 01 7f 00000002 6869 00000000 ffffffff 00000001 61 00000000 ffffffff"))
	if got := c.Int(); got != -1<<31 {
		t.Errorf("Int = %d", got)
	}
	if got := c.Long(); got != -101 {
		t.Errorf("Long = %d", got)
	}
	if a, b, d := c.Bool(), c.Bool(), c.Bool(); a || !b || !d {
		t.Errorf("Bool of 00, 01, 7f = %v, %v, %v; every non-zero byte is true", a, b, d)
	}
	if got := c.Buffer(); string(got) != "hi" {
		t.Errorf("Buffer = %q", got)
	}
	if got := c.Buffer(); got == nil || len(got) != 0 {
		t.Errorf("empty Buffer = %#v, want non-nil and empty", got)
	}
	if got := c.Buffer(); got != nil {
		t.Errorf("null Buffer = %#v, want nil", got)
	}
	if got, ok := c.StringOK(); got != "a" || !ok {
		t.Errorf("StringOK = %q, %v", got, ok)
	}
	if got, ok := c.StringOK(); got != "" || !ok {
		t.Errorf("empty StringOK = %q, %v", got, ok)
	}
	if got, ok := c.StringOK(); got != "" || ok {
		t.Errorf("null StringOK = %q, %v", got, ok)
	}
	if c.Err() != nil || c.Remaining() != 0 {
		t.Errorf("at the end: err %v, %d bytes left", c.Err(), c.Remaining())
	}
}

func TestMalformed(t *testing.T) {
	read := map[string]func(c *jute.Cursor){
		"int":    func(c *jute.Cursor) { c.Int() },
		"long":   func(c *jute.Cursor) { c.Long() },
		"bool":   func(c *jute.Cursor) { c.Bool() },
		"buffer": func(c *jute.Cursor) { c.Buffer() },
		"string": func(c *jute.Cursor) { _ = c.String() },
		"count":  func(c *jute.Cursor) { c.Count(4) },
	}
	for _, tc := range []struct{ what, in string }{
		{"int", ""},
		{"int", "000000"},
		{"long", "00000000000000"},
		{"bool", ""},
		{"buffer", "0000"},
		{"buffer", "00000003 6162"},
		{"buffer", "fffffffe"},
		{"buffer", "80000000"},
		{"buffer", "7fffffff 61"},
		{"string", "0000"},
		{"string", "00000003 6162"},
		{"string", "fffffffe"},
		{"string", "7fffffff 61"},
		{"count", "0000"},
		{"count", "00000001"},
		{"count", "00000002 00000000 000000"},
		{"count", "7fffffff 00000000"},
	} {
		c := jute.NewCursor(unhex(t, tc.in))
		read[tc.what](&c)
		if err := c.Err(); !errors.Is(err, jute.ErrMalformed) {
			t.Errorf("%s of %q: error %v, want ErrMalformed", tc.what, tc.in, err)
		}
	}
}

func TestErrorSticks(t *testing.T) {
	c := jute.NewCursor(unhex(t, "fffffffe 00000001 01"))
	_ = c.String()
	first := c.Err()
	if c.Int() != 0 || c.Long() != 0 || c.Bool() || c.Buffer() != nil || c.String() != "" || c.Count(1) != 0 {
		t.Error("a read after an error returned something")
	}
	c.Fail("too late")
	if first == nil || c.Err() != first { //nolint:errorlint // the very same error is wanted
		t.Errorf("error became %v, want the first one, %v", c.Err(), first)
	}
	if c.Remaining() != 0 || c.Rest() != nil {
		t.Errorf("%d bytes left after an error", c.Remaining())
	}
}

func TestFail(t *testing.T) {
	c := jute.NewCursor([]byte{1, 2, 3, 4})
	c.Fail("null path")
	if err := c.Err(); !errors.Is(err, jute.ErrMalformed) || !strings.Contains(err.Error(), "null path") {
		t.Errorf("Err = %v", err)
	}
	if c.Int() != 0 {
		t.Error("a read after Fail returned something")
	}
}

func TestKnownString(t *testing.T) {
	in := unhex(t, "00000003 796573 00000002 6e6f ffffffff 00000001 ff 00000009 61")
	c := jute.NewCursor(in)
	for i, want := range []struct {
		s       string
		present bool
	}{{"yes", true}, {"no", true}, {"", false}, {"\ufffd", true}, {"", false}} {
		if s, present := c.KnownString("yes"); s != want.s || present != want.present {
			t.Errorf("string %d: %q, %v, want %q, %v", i, s, present, want.s, want.present)
		}
	}
	if !errors.Is(c.Err(), jute.ErrMalformed) {
		t.Errorf("Err = %v", c.Err())
	}
	if n := testing.AllocsPerRun(100, func() {
		c := jute.NewCursor(in)
		c.KnownString("yes")
	}); n != 0 {
		t.Errorf("%v allocations for the known string", n)
	}
}

func TestCount(t *testing.T) {
	for _, tc := range []struct {
		in      string
		minSize int
		want    int
	}{
		{"ffffffff", 4, -1},
		{"fffffffe", 4, 0},
		{"80000000", 4, 0},
		{"00000000", 4, 0},
		{"00000002 0000000000000000", 4, 2},
		{"00000001 000000000000000000000000", 12, 1},
	} {
		c := jute.NewCursor(unhex(t, tc.in))
		if got := c.Count(tc.minSize); got != tc.want || c.Err() != nil {
			t.Errorf("Count(%d) of %s = %d, %v; want %d", tc.minSize, tc.in, got, c.Err(), tc.want)
		}
	}
}

func TestBufferCannotOverwriteItsNeighbour(t *testing.T) {
	in := unhex(t, "00000001 61 00000007")
	c := jute.NewCursor(in)
	b := c.Buffer()
	_ = append(b, 0xff, 0xff)
	if got := c.Int(); got != 7 {
		t.Errorf("appending to a decoded buffer changed what follows: %d", got)
	}
	if &b[0] != &in[4] {
		t.Error("Buffer copied its bytes")
	}
}

// Malformed UTF-8 must become the very text that Java servers make of it, or two servers
// of one ensemble would see different names in the same request.
func TestUTF8AsJava(t *testing.T) {
	f, err := os.Open("testdata/utf8.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := 0
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if strings.HasPrefix(sc.Text(), "#") {
			continue
		}
		in, out, ok := strings.Cut(sc.Text(), " ")
		if !ok {
			t.Fatalf("bad line %q", sc.Text())
		}
		lines++
		b := unhex(t, in)
		c := jute.NewCursor(jute.AppendBuffer(nil, b))
		if got := c.String(); got != string(unhex(t, out)) {
			t.Errorf("%s: got %x, Java has %s", in, got, out)
		}
	}
	if lines < 2000 {
		t.Errorf("only %d lines of test data", lines)
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i, l, o := rapid.Int32().Draw(t, "int"), rapid.Int64().Draw(t, "long"), rapid.Bool().Draw(t, "bool")
		s := rapid.String().Draw(t, "string")
		var b []byte
		if rapid.Bool().Draw(t, "present") {
			b = append([]byte{}, rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")...)
		}
		prefix := []byte("kept")
		buf := jute.AppendInt(prefix, i)
		buf = jute.AppendLong(buf, l)
		buf = jute.AppendBool(buf, o)
		buf = jute.AppendBuffer(buf, b)
		buf = jute.AppendString(buf, s)
		buf = jute.AppendNull(buf)
		buf = jute.AppendCount(buf, 1)
		buf = append(buf, 9)

		if !bytes.HasPrefix(buf, prefix) {
			t.Fatalf("the Append functions lost what was there: %q", buf)
		}
		c := jute.NewCursor(buf[len(prefix):])
		if got := c.Int(); got != i {
			t.Fatalf("Int = %d, want %d", got, i)
		}
		if got := c.Long(); got != l {
			t.Fatalf("Long = %d, want %d", got, l)
		}
		if got := c.Bool(); got != o {
			t.Fatalf("Bool = %v, want %v", got, o)
		}
		if got := c.Buffer(); !bytes.Equal(got, b) || (got == nil) != (b == nil) {
			t.Fatalf("Buffer = %#v, want %#v", got, b)
		}
		if got, ok := c.StringOK(); got != s || !ok {
			t.Fatalf("StringOK = %q, %v; want %q", got, ok, s)
		}
		if _, ok := c.StringOK(); ok {
			t.Fatal("null string came back present")
		}
		if got := c.Count(1); got != 1 {
			t.Fatalf("Count = %d, want 1", got)
		}
		if c.Err() != nil || !bytes.Equal(c.Rest(), []byte{9}) {
			t.Fatalf("err %v, rest %x", c.Err(), c.Rest())
		}
	})
}

// FuzzCursor reads arbitrary bytes in an arbitrary order of types: nothing may panic, nothing
// may be handed out that is not in the input, and strings must be valid UTF-8.
func FuzzCursor(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5}, []byte("\x00\x00\x00\x01\x00\x00\x00\x02hi\x01"))
	f.Add([]byte{4, 4}, []byte("\x00\x00\x00\x03\xed\xa0\x80\xff\xff\xff\xff"))
	f.Add([]byte{5, 3}, []byte("\x7f\xff\xff\xff\x7f\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, script, in []byte) {
		c := jute.NewCursor(in)
		for _, step := range script {
			before := c.Remaining()
			switch step % 6 {
			case 0:
				c.Int()
			case 1:
				c.Long()
			case 2:
				c.Bool()
			case 3:
				if b := c.Buffer(); len(b) > before {
					t.Fatalf("buffer of %d bytes out of %d", len(b), before)
				}
			case 4:
				if s := c.String(); !utf8.ValidString(s) || len(s) > 3*before {
					t.Fatalf("string %q out of %d bytes", s, before)
				}
			case 5:
				if n := c.Count(4); n < -1 || n*4 > c.Remaining() {
					t.Fatalf("count %d with %d bytes left", n, c.Remaining())
				}
			}
			if c.Remaining() > before {
				t.Fatalf("%d bytes left after %d", c.Remaining(), before)
			}
			if c.Err() != nil && !errors.Is(c.Err(), jute.ErrMalformed) {
				t.Fatalf("error %v does not match ErrMalformed", c.Err())
			}
		}
	})
}
