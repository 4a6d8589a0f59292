package server

import (
	"time"

	"github.com/zabkeeper/zabkeeper/znode"
)

// quotaLogEvery is how often the log tells of quotas at most: one client can run into a limit
// thousands of times in a second.
const quotaLogEvery = time.Second

// quotaLog tells operators of quotas. The leader's goroutine owns it.
type quotaLog struct {
	next    time.Time // when there may be a line again
	skipped int       // notices since the last line
}

// tell logs what the Preparer has to say of the last request.
func (l *quotaLog) tell(p *primary, now time.Time) {
	n, ok := p.prep.QuotaNotice()
	if !ok {
		return
	}
	if now.Before(l.next) {
		l.skipped++
		return
	}
	event := p.s.log.Warn().Str("root", n.Root)
	if l.skipped > 0 {
		event = event.Int("not_logged", l.skipped)
	}
	l.next, l.skipped = now.Add(quotaLogEvery), 0
	switch n.Problem {
	case znode.QuotaLimitsUnreadable:
		event.Msg("the limits of a quota cannot be read and limit nothing: set zookeeper_limits anew")
	case znode.QuotaUsageUnknown:
		event.Msg("a quota has limits but no readable usage, and limits nothing: delete and create zookeeper_stats")
	case znode.QuotaHard, znode.QuotaSoft:
		unit := "nodes"
		if n.Bytes {
			unit = "bytes"
		}
		event = event.Str("of", unit).Int64("usage", n.Usage).Int64("limit", n.Limit)
		if n.Problem == znode.QuotaHard {
			event.Msg("a request was refused: it exceeds a hard quota")
		} else {
			event.Msg("a soft quota is exceeded")
		}
	}
}
