package znode

// QuotaProblem says what is the matter with a quota.
type QuotaProblem uint8

// The problems.
const (
	// QuotaHard: a request was refused because the usage would exceed a hard limit.
	QuotaHard QuotaProblem = iota + 1
	// QuotaSoft: a request will exceed a soft limit.
	QuotaSoft
	// QuotaLimitsUnreadable: the limits cannot be parsed and limit nothing.
	QuotaLimitsUnreadable
	// QuotaUsageUnknown: there is no usage, or it cannot be parsed, so the limits limit
	// nothing.
	QuotaUsageUnknown
)

// QuotaNotice is what an operator should hear of a quota.
type QuotaNotice struct {
	Problem QuotaProblem
	Root    string
	// Of QuotaHard and QuotaSoft: whether it is about bytes, else about nodes; what the
	// usage would be; and what it should be at most.
	Bytes        bool
	Usage, Limit int64
}

// QuotaNotice returns what the last call of Prepare found out about a quota, if anything; of
// several things the last.
func (p *Preparer) QuotaNotice() (n QuotaNotice, ok bool) { return p.notice, p.notice.Problem != 0 }

// exceedsQuota reports whether a hard limit forbids that the node at path adds so much to the
// usage of its quota root. It asks the tree, which does not know yet what is proposed:
// a burst may overshoot (spec semantics 11.4).
func (p *Preparer) exceedsQuota(path string, nodes, size int) bool {
	if !p.enforceQuota {
		return false
	}
	if n := p.view.Node(QuotaPath); n == nil || n.NumChildren == 0 {
		return false
	}
	root := quotaRoot(p.view, path)
	if root == "" {
		return false
	}
	limits, ok := p.readQuota(root, limitsName)
	if !ok {
		p.notice = QuotaNotice{Problem: QuotaLimitsUnreadable, Root: root}
		return false
	}
	count := newQuotaLimit(limits.count, limits.get(countHardKey), nodes)
	bytes := newQuotaLimit(limits.bytes, limits.get(bytesHardKey), size)
	if !count.set && !bytes.set {
		return false
	}
	usage, ok := p.readQuota(root, statsName)
	if !ok {
		p.notice = QuotaNotice{Problem: QuotaUsageUnknown, Root: root}
		return false
	}
	return count.set && p.exceeds(count, QuotaNotice{Root: root, Usage: usage.count + int64(nodes)}) ||
		bytes.set && p.exceeds(bytes, QuotaNotice{Root: root, Usage: usage.bytes + int64(size), Bytes: true})
}

func (p *Preparer) readQuota(root, name string) (quotaText, bool) {
	n := p.view.Node(QuotaPath + root + "/" + name)
	if n == nil {
		return quotaText{}, false
	}
	return parseQuota(n.Data)
}

// quotaLimit is a limit that a request must be held against.
type quotaLimit struct {
	set, hard bool
	most      int64
}

// newQuotaLimit returns what is to be checked for a request that makes a difference. A hard
// limit is the only one that counts. Even a difference below zero is checked, so that a
// node cannot be made smaller while the usage stays above the limit.
func newQuotaLimit(soft, hard int64, difference int) quotaLimit {
	switch {
	case difference == 0 || soft < 0 && hard < 0:
		return quotaLimit{}
	case hard >= 0:
		return quotaLimit{set: true, hard: true, most: hard}
	}
	return quotaLimit{set: true, most: soft}
}

// exceeds holds the usage in n against a limit, and reports whether that is to be refused.
func (p *Preparer) exceeds(l quotaLimit, n QuotaNotice) bool {
	if n.Usage <= l.most {
		return false
	}
	n.Problem, n.Limit = QuotaSoft, l.most
	if l.hard {
		n.Problem = QuotaHard
	}
	p.notice = n
	return l.hard
}
