package oracle

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// roster is the ensemble's list of servers: the one that counts for the next change.
type roster struct {
	version zxid.ID
	servers []listed // by id
}

// listed is one server of a list.
type listed struct {
	id                     int
	host, quorum, election string
	role                   string
	clientHost, clientPort string // empty: the list does not say where clients connect
}

func (s listed) String() string {
	text := fmt.Sprintf("server.%d=%s:%s:%s:%s", s.id, s.host, s.quorum, s.election, s.role)
	if s.clientPort != "" {
		text += ";" + s.clientHost + ":" + s.clientPort
	}
	return text
}

// text is the content of the configuration node.
func (l *roster) text() string {
	var b strings.Builder
	for _, s := range l.servers {
		b.WriteString(s.String() + "\n")
	}
	return b.String() + fmt.Sprintf("version=%x", int64(l.version))
}

func (l *roster) voters() int {
	n := 0
	for _, s := range l.servers {
		if s.role == "participant" {
			n++
		}
	}
	return n
}

// entry is a server in the plainest of its forms. What is written otherwise is not judged.
var entry = regexp.MustCompile(`^server\.(\d{1,3})=([\w.-]+):(\d{1,5}):(\d{1,5})(?::(participant|observer))?(?:;(?:([\w.-]+):)?(\d{1,5}))?$`)

// readEntry reads one server of a list; false when it is not written plainly.
func readEntry(text string) (listed, bool) {
	m := entry.FindStringSubmatch(text)
	if m == nil {
		return listed{}, false
	}
	id, err := strconv.Atoi(m[1])
	s := listed{id: id, host: m[2], quorum: m[3], election: m[4], role: cmp.Or(m[5], "participant"), clientPort: m[7]}
	if s.clientPort != "" {
		s.clientHost = cmp.Or(m[6], "0.0.0.0")
	}
	return s, err == nil && id <= 255
}

// readList reads the content of the configuration node; false when it is not written plainly.
func readList(text string) (*roster, bool) {
	lines := strings.Split(text, "\n")
	version, ok := strings.CutPrefix(lines[len(lines)-1], "version=")
	n, err := strconv.ParseInt(version, 16, 64)
	if !ok || err != nil {
		return nil, false
	}
	l := &roster{version: zxid.ID(n)}
	for _, line := range lines[:len(lines)-1] {
		s, ok := readEntry(line)
		if !ok {
			return nil, false
		}
		l.servers = append(l.servers, s)
	}
	return l, true
}

// change returns the list that a request makes of l, or the code by which it must be refused. It is false
// when that is not known here. Of the version the list that is returned says nothing.
func (l *roster) change(r *proto.ReconfigRequest, least int) (next *roster, refusal proto.Code, known bool) {
	next = &roster{}
	if r.NewMembers.Valid {
		for text := range strings.FieldsFuncSeq(r.NewMembers.Value, func(c rune) bool { return c == ',' || c == '\n' }) {
			s, ok := readEntry(text)
			if !ok || slices.ContainsFunc(next.servers, func(o listed) bool { return o.id == s.id }) {
				return nil, 0, false
			}
			next.servers = append(next.servers, s)
		}
	} else {
		next.servers = slices.Clone(l.servers)
		out := func(id int) {
			next.servers = slices.DeleteFunc(next.servers, func(s listed) bool { return s.id == id })
		}
		for _, text := range parts(r.LeavingServers.Value) {
			id, err := strconv.Atoi(text)
			if err != nil {
				return nil, proto.CodeMarshallingError, true
			}
			out(id)
		}
		for _, text := range parts(r.JoiningServers.Value) {
			s, ok := readEntry(text)
			switch {
			case !ok:
				return nil, 0, false
			case s.clientPort == "":
				return nil, proto.CodeBadArguments, true
			}
			out(s.id)
			next.servers = append(next.servers, s)
		}
	}
	slices.SortFunc(next.servers, func(a, b listed) int { return cmp.Compare(a.id, b.id) })
	if next.clash() || next.voters() < least {
		return nil, proto.CodeBadArguments, true
	}
	return next, proto.CodeOK, true
}

// parts returns what stands between commas.
func parts(text string) []string {
	var out []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// clash reports whether two addresses of a list are one. Clients may find several servers at one address that means
// another machine for each of them.
func (l *roster) clash() bool {
	taken := map[string]int{}
	for _, s := range l.servers {
		for _, port := range []string{s.quorum, s.election} {
			if _, ok := taken[s.host+":"+port]; ok {
				return true
			}
			taken[s.host+":"+port] = s.id
		}
	}
	for _, s := range l.servers {
		ip, err := netip.ParseAddr(s.clientHost)
		if s.clientPort == "" || s.clientHost == "localhost" || err == nil && (ip.IsLoopback() || ip.IsUnspecified()) {
			continue
		}
		at := s.clientHost + ":" + s.clientPort
		if id, ok := taken[at]; ok && id != s.id {
			return true
		}
		taken[at] = s.id
	}
	return false
}

// reconfigure carries out a change of the list.
func (t *tree) reconfigure(txn *proto.Txn, e *effect) error {
	set, ok := txn.Body.(*proto.SetDataTxn)
	if !ok || set.Path != configPath || set.Version != -1 {
		return fmt.Errorf("a change of the members that does not write %s, but %s", configPath, short(show(txn.Body)))
	}
	next, plain := readList(string(set.Data))
	switch {
	case !plain:
		next = nil // what follows from it is not judged
	case next.version != txn.Zxid:
		return fmt.Errorf("a list of servers of version %v", next.version)
	case next.voters() == 0:
		return fmt.Errorf("a list of servers without voters")
	}
	t.list, t.changed = next, txn.Zxid
	return t.applyOne(txn, set, e)
}

// decidedReconfig holds a change of the list, or its refusal, against its request (spec semantics 12.3). Whether enough of the
// new members are there the log does not tell, nor who the super user is.
func (k *checker) decidedReconfig(txn *proto.Txn, q *request) {
	var r proto.ReconfigRequest
	if request, err := proto.DecodeRequest(q.op, q.body); err == nil {
		if decoded, ok := request.(*proto.ReconfigRequest); ok {
			r = *decoded
		}
	}
	got := proto.CodeOK
	if refused, ok := txn.Body.(*proto.ErrorTxn); ok {
		got = refused.Err
	}
	want, next, known := k.reconfig(txn, q, &r, got)
	if !known {
		k.report.Unjudged++
		return
	}
	k.report.Decisions++
	set, _ := txn.Body.(*proto.SetDataTxn)
	switch {
	case got != want:
		k.violateTxn(txn, "decision", fmt.Sprintf("%s comes to %s, the log says %s", describe(q), codeText(want), codeText(got)))
	case got == proto.CodeOK && (set == nil || string(set.Data) != next.text()):
		k.violateTxn(txn, "decision", fmt.Sprintf("%s comes to %q; the log says %s", describe(q), next.text(), short(show(txn.Body))))
	}
}

func codeText(c proto.Code) string {
	if c == proto.CodeOK {
		return "a change"
	}
	return c.Error()
}

// reconfig returns the code that a request must come to, and the list if it is OK. got is the code in the log: it is
// believed where several are possible.
func (k *checker) reconfig(txn *proto.Txn, q *request, r *proto.ReconfigRequest, got proto.Code) (proto.Code, *roster, bool) {
	_, live := k.tree.sessions[q.conn.session]
	l := k.tree.list
	switch {
	case !k.opt.Reconfig:
		return proto.CodeReconfigDisabled, nil, true
	case !live:
		return proto.CodeSessionExpired, nil, true
	case got == proto.CodeReconfigInProgress && (k.opt.DataLost || k.underWay(txn, q)):
		return got, nil, true
	case l == nil:
		return 0, nil, false
	case r.CurConfigID != -1 && r.CurConfigID != l.version:
		return proto.CodeBadVersion, nil, true
	}
	next, refusal, known := l.change(r, cmp.Or(k.opt.LeastVoters, 2))
	if !known || refusal != proto.CodeOK {
		return refusal, nil, known
	}
	next.version = txn.Zxid
	may, sure := allowed(k.tree.nodes[configPath].acl, proto.PermWrite)
	switch {
	case got == proto.CodeNewConfigNoQuorum:
		return got, nil, true
	case may:
		return proto.CodeOK, next, true
	case !q.known && sure:
		return proto.CodeNoAuth, nil, true
	case got == proto.CodeNoAuth:
		return 0, nil, false
	}
	return proto.CodeOK, next, true
}

// underWay reports whether another change can have been under way when a request was judged: one of the same leader
// that nobody had been shown when the request was sent.
func (k *checker) underWay(txn *proto.Txn, q *request) bool {
	return k.tree.changed > q.floor && k.tree.changed.Epoch() == txn.Zxid.Epoch()
}
