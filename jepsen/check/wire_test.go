package check_test

import (
	"testing"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
)

func TestWire(t *testing.T) {
	type step struct {
		sent    []int32 // before the reply; nil with xid 0: a new connection
		xid     int32
		zxid    int64
		violate string
	}
	for name, steps := range map[string][]step{
		"one by one": {{[]int32{1}, 1, 10, ""}, {[]int32{2}, 2, 10, ""}, {[]int32{3}, 3, 12, ""}},
		"pipelined":  {{[]int32{1, 2, 3}, 1, 10, ""}, {nil, 2, 11, ""}, {[]int32{4}, 3, 11, ""}, {nil, 4, 11, ""}},
		"overtaken":  {{[]int32{1, 2}, 2, 10, "while 1 is not answered"}, {nil, 1, 10, ""}},
		"twice":      {{[]int32{1}, 1, 10, ""}, {nil, 1, 10, "nobody waits for"}},
		"backwards":  {{[]int32{1, 2}, 1, 10, ""}, {nil, 2, 9, "has zxid 0x9 after 0xa"}},
		"reconnected": {
			{[]int32{1, 2}, 1, 10, ""}, {}, {[]int32{3}, 3, 10, ""},
		},
		"answered on another connection": {{[]int32{1, 2}, 1, 10, ""}, {}, {[]int32{3}, 2, 10, "nobody waits for"}},
		"backwards on another server":    {{[]int32{1}, 1, 10, ""}, {}, {[]int32{2}, 2, 9, "has zxid"}},
		"without a zxid":                 {{[]int32{1}, 1, 10, ""}, {[]int32{2}, 2, 0, ""}, {[]int32{3}, 3, -1, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			var w check.Wire
			for _, s := range steps {
				if s.xid == 0 {
					w.Connected()
					continue
				}
				for _, xid := range s.sent {
					w.Sent(xid)
				}
				expect(t, w.Replied(s.xid, s.zxid), s.violate)
			}
		})
	}
}
