package znode

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Quotas (spec semantics 11.4). /zookeeper/quota<root>/zookeeper_limits makes root a quota root,
// and zookeeper_stats beside it says what root and everything below it use. Clients write both;
// Apply keeps the usage up to date, as a part of the transaction that changes it, so that
// it is the same on every server and survives what the tree survives.
const (
	limitsName = "zookeeper_limits"
	statsName  = "zookeeper_stats"
)

// maxQuotaText bounds what is read of a limits or stats node in bytes. The usage is rewritten
// at every change below its root, so that a longer text would be a weapon.
const maxQuotaText = 1024

// quotaText is what the data of a limits or stats node says, -1 standing for nothing.
type quotaText struct {
	count, bytes int64
	more         []quotaPair // all other keys, ascending
}

type quotaPair struct {
	key   string
	value int64
}

// The keys of hard limits.
const (
	countHardKey = "countHardLimit"
	bytesHardKey = "byteHardLimit"
)

// parseQuota reads "key=number" between commas and semicolons as ZooKeeper does: with any
// number of separators, but for the first place, and of equals signs behind the number.
func parseQuota(data []byte) (q quotaText, ok bool) {
	q = quotaText{count: -1, bytes: -1}
	if data == nil || len(data) > maxQuotaText {
		return q, false
	}
	text := strings.TrimRight(string(data), ",;")
	if text != "" && quotaSeparator(rune(text[0])) {
		return q, false
	}
	for piece := range strings.FieldsFuncSeq(text, quotaSeparator) {
		key, value, found := strings.Cut(strings.TrimRight(piece, "="), "=")
		if !found {
			return q, false
		}
		value, _, _ = strings.Cut(value, "=")
		n, err := strconv.ParseInt(cmp.Or(value, "-1"), 10, 64)
		if err != nil {
			return q, false
		}
		q.set(key, n)
	}
	return q, true
}

func quotaSeparator(r rune) bool { return r == ',' || r == ';' }

func (q *quotaText) set(key string, value int64) {
	switch key {
	case "count":
		q.count = value
	case "bytes":
		q.bytes = value
	default:
		i, found := q.find(key)
		if !found {
			q.more = slices.Insert(q.more, i, quotaPair{key: key})
		}
		q.more[i].value = value
	}
}

func (q *quotaText) find(key string) (i int, found bool) {
	return slices.BinarySearchFunc(q.more, key, func(p quotaPair, key string) int {
		return strings.Compare(p.key, key)
	})
}

// get returns the value of a key other than count and bytes.
func (q *quotaText) get(key string) int64 {
	if i, found := q.find(key); found {
		return q.more[i].value
	}
	return -1
}

// append writes q as ZooKeeper does. The equals sign without a meaning keeps old clients from
// reading the keys behind it.
func (q *quotaText) append(dst []byte) []byte {
	dst = strconv.AppendInt(append(dst, "count="...), q.count, 10)
	dst = strconv.AppendInt(append(dst, ",bytes="...), q.bytes, 10)
	if len(q.more) > 0 {
		dst = append(dst, '=')
	}
	for _, p := range q.more {
		dst = append(append(append(dst, ';'), p.key...), '=')
		dst = strconv.AppendInt(dst, p.value, 10)
	}
	return dst
}

// limitable reports whether path may be a quota root. The root of the tree may not; nor may
// what holds the quotas, whose usage would be about itself.
func limitable(path string) bool {
	return path != "" && path != RootPath && path != SystemPath && !Within(path, QuotaPath)
}

// quotaNode returns the root that a limits or stats node is about.
func quotaNode(path string) (root string, ok bool) {
	if !strings.HasPrefix(path, QuotaPath+"/") {
		return "", false
	}
	below, name := path[len(QuotaPath):], Name(path)
	if name != limitsName && name != statsName {
		return "", false
	}
	root = below[:len(below)-len(name)-1]
	return root, limitable(root)
}

// quotaRoot returns the deepest quota root on path, "" if there is none.
func quotaRoot(v View, path string) (root string) {
	if path == RootPath || Within(path, QuotaPath) {
		return ""
	}
	for end := 0; end < len(path); {
		if next := strings.IndexByte(path[end+1:], '/'); next >= 0 {
			end += 1 + next
		} else {
			end = len(path)
		}
		at := QuotaPath + path[:end]
		n := v.Node(at)
		if n == nil {
			break
		}
		deeper := n.NumChildren
		if deeper > 0 && v.Node(at+"/"+limitsName) != nil {
			deeper--
			if limitable(path[:end]) {
				root = path[:end]
			}
			if v.Node(at+"/"+statsName) != nil {
				deeper--
			}
		}
		if deeper == 0 {
			break
		}
	}
	return root
}

// statsPath returns the path of the node that says what root uses.
func statsPath(root string) string { return QuotaPath + root + "/" + statsName }

// presence says whether there is anything below QuotaPath.
type presence uint8

const (
	notLooked presence = iota
	nothing
	something
)

// hasQuotas reports whether there may be quotas. It looks once in a batch, and again when
// a child of QuotaPath comes or goes.
func (c *Changes) hasQuotas() bool {
	if c.quotas == notLooked {
		c.quotas = nothing
		if n := c.Node(QuotaPath); n != nil && n.NumChildren > 0 {
			c.quotas = something
		}
	}
	return c.quotas == something
}

// charge adds to the usage of the deepest quota root on path. Roots above it are not told.
// A usage that cannot be read is left alone.
func (c *Changes) charge(path string, nodes, size int) {
	if !c.hasQuotas() {
		return
	}
	root := quotaRoot(c, path)
	if root == "" {
		return
	}
	n := c.Node(statsPath(root))
	if n == nil {
		return
	}
	usage, ok := parseQuota(n.Data)
	if !ok {
		return
	}
	usage.count += int64(nodes)
	usage.bytes += int64(size)
	c.setUsage(root, &usage)
}

// created is charge for a node that was just created. A stats node is born with the usage
// of its root, whatever data the client gave it. Limits that come to an older stats node
// leave it as it is, and counting goes on from there.
func (c *Changes) created(path string, size int) {
	if Parent(path) == QuotaPath {
		c.quotas = notLooked
	}
	if root, ok := quotaNode(path); ok && Name(path) == statsName {
		count, total := c.Subtree(root)
		c.setUsage(root, &quotaText{count: int64(count), bytes: total})
	}
	c.charge(path, 1, size)
}

// removed is charge for a node that was just deleted.
func (c *Changes) removed(path string, size int) {
	if Parent(path) == QuotaPath {
		c.quotas = notLooked
	}
	c.charge(path, -1, -size)
}

// setUsage replaces the data of a stats node, if there is one. Neither versions nor times
// change and no watch fires: for clients nothing has happened.
func (c *Changes) setUsage(root string, usage *quotaText) {
	path := statsPath(root)
	n, at := c.find(path)
	if n == nil {
		return
	}
	if data := usage.append(nil); !bytes.Equal(data, n.Data) {
		c.own(path, n, at).Data = data
	}
}
