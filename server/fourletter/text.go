package fourletter

import (
	"fmt"
	"io"
)

// piece is the length at which a part of an answer goes out.
const piece = 16 << 10

// text is an answer on its way.
type text struct {
	out io.Writer
	buf []byte
	err error // of out; nothing is written behind it
}

func (t *text) add(s string) { t.buf = append(t.buf, s...) }

func (t *text) printf(format string, args ...any) { t.buf = fmt.Appendf(t.buf, format, args...) }

// flows sends what is there once it is long enough, and reports whether there is any use in
// going on.
func (t *text) flows() bool {
	if len(t.buf) >= piece {
		t.send()
	}
	return t.err == nil
}

func (t *text) send() {
	if t.err == nil && len(t.buf) > 0 {
		_, t.err = t.out.Write(t.buf)
	}
	t.buf = t.buf[:0]
}

// end sends what is left.
func (t *text) end() error {
	t.send()
	return t.err
}
