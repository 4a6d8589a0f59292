package page_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
	"github.com/zabkeeper/zabkeeper/jepsen/nemesis"
	"github.com/zabkeeper/zabkeeper/jepsen/page"
)

// history is a client that writes every 100 ms, but not between the seconds 20 and 25, and reads.
func history() []check.Op {
	var h []check.Op
	add := func(kind check.Kind, at, took time.Duration, outcome check.Outcome) {
		h = append(h, check.Op{Workload: "register", Kind: kind, Call: int64(at), Return: int64(at + took), Outcome: outcome})
	}
	for at := time.Duration(0); at < time.Minute; at += 100 * time.Millisecond {
		switch {
		case at >= 20*time.Second && at < 25*time.Second:
			add(check.KindSet, at, time.Second, check.Info)
		case at == 30*time.Second:
			add(check.KindSet, at, 3*time.Second, check.OK)
		default:
			add(check.KindSet, at, 4*time.Millisecond, check.OK)
		}
		add(check.KindGet, at, time.Millisecond, check.OK)
	}
	return append(h, check.Op{Workload: "register", Kind: check.KindCAS, Outcome: check.Fail, Refused: true})
}

func run() page.Run {
	w := nemesis.Act{Kind: nemesis.Kill, Role: nemesis.Leader}
	return page.Run{
		Title: "Torture of <three> servers", Facts: []page.Fact{{Name: "seed", Value: "7"}}, Took: time.Minute, History: history(),
		Events: []nemesis.Event{
			{Act: nemesis.Act{Kind: nemesis.Isolate, Role: nemesis.Leader, Within: &w}, Servers: []int{2}, Note: `"cut" & gone`, Begin: 20 * time.Second, Healed: 24 * time.Second, Whole: 25 * time.Second},
			{Act: w, Servers: []int{2}, Begin: 21 * time.Second, Healed: 24 * time.Second},
		},
	}
}

func write(t *testing.T, r page.Run) string {
	t.Helper()
	var b strings.Builder
	if err := page.Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPage(t *testing.T) {
	text := write(t, run())
	for _, want := range []string{
		"Torture of &lt;three&gt; servers", ">clean<", "<dt>seed</dt><dd>7</dd>", ">1201<", ">50<",
		"<b>set</b>: 550; median 4.0 ms, 99th percentile 4.0 ms, maximum 3.0 s", "<b>get</b>: 600; median 1.0 ms",
		"1 times without an acknowledged write", "0:19.90: 5.1s", "&#34;cut&#34; &amp; gone", "<td>register</td><td class=\"n\">1150</td><td class=\"n\">1</td><td class=\"n\">50</td>",
		"&#8627; kill leader",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, foreign := range []string{"<script", "http://", "https://", "src=", "@import", "url("} {
		if strings.Contains(text, foreign) {
			t.Errorf("the page needs something else: %s", foreign)
		}
	}
	if text != write(t, run()) {
		t.Error("one run, two pages")
	}
}

func TestViolations(t *testing.T) {
	r := run()
	r.Violations = []string{"register: a write was lost <script>"}
	text := write(t, r)
	if !strings.Contains(text, ">1 violations<") || !strings.Contains(text, "lost &lt;script&gt;") || strings.Contains(text, ">clean<") {
		t.Error("the violation is not shown")
	}
}

// Every drawing is well-formed, whatever there is to draw.
func TestDrawings(t *testing.T) {
	for name, r := range map[string]page.Run{
		"usual": run(), "nothing": {}, "long": {Took: 3 * time.Hour, History: history(), Events: run().Events},
	} {
		text := write(t, r)
		n := 0
		for {
			_, rest, ok := strings.Cut(text, "<svg")
			if !ok {
				break
			}
			svg, after, ok := strings.Cut(rest, "</svg>")
			if !ok {
				t.Fatalf("%s: a drawing has no end", name)
			}
			n++
			for d := xml.NewDecoder(strings.NewReader("<svg" + svg + "</svg>")); ; {
				if _, err := d.Token(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatalf("%s: drawing %d: %v", name, n, err)
				}
			}
			if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
				t.Errorf("%s: drawing %d is nowhere", name, n)
			}
			text = after
		}
		if want := 2; n < want || name == "usual" && n != 4 {
			t.Errorf("%s: %d drawings", name, n)
		}
	}
}
