package differ

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
)

// End ends every session that the script opened, in the order of the clients' names, and returns
// what was seen and the whole tree that is left.
func (s *Side) End() []Line {
	s.lines = nil
	var all []*client
	for _, label := range slices.Sorted(maps.Keys(s.clients)) {
		all = append(all, s.clients[label])
	}
	for i, o := range s.orphans {
		o.label = fmt.Sprintf("%s'%d", o.label, i)
		s.clients[o.label] = o
	}
	for _, c := range append(all, s.orphans...) {
		if !c.live {
			continue
		}
		if c.conn == nil {
			s.renew(c, Step{Act: Renew, Timeout: adminTimeout, At: c.at})
		}
		if c.conn != nil {
			s.send(c, []Request{{Op: proto.OpCloseSession}})
		}
		s.rest(s.settle())
	}
	s.trees()
	return s.lines
}

// trees adds the whole tree, and what of it is otherwise on the other servers.
func (s *Side) trees() {
	var first []Line
	for i, admin := range s.admins {
		nodes, err := s.tree(admin)
		if err != nil {
			s.add(admin, "%v", err)
		}
		lines := describe(nodes)
		if i == 0 {
			s.lines = append(s.lines, lines...)
			first = surrogates(Step{}, lines)
			continue
		}
		lines = surrogates(Step{}, lines)
		for _, l := range lines {
			if !slices.Contains(first, l) {
				s.add(admin, "server %d has %s", i, l.Text)
			}
		}
		if len(lines) != len(first) {
			s.add(admin, "server %d has %d nodes, the first one %d", i, len(lines), len(first))
		}
	}
}

// describe tells a tree.
func describe(nodes []node) []Line {
	lines := make([]Line, len(nodes))
	for i, n := range nodes {
		lines[i] = Line{treeLabel, quote(n.path) + " " + n.text}
	}
	return lines
}

// treeLabel stands in place of a client before the lines of a tree.
const treeLabel = "admin"

// node is what a reset needs to know about a node, and its description.
type node struct {
	path     string
	text     string
	children []string
	data     []byte
	acl      []proto.ACL
}

// maxNodes bounds a tree that is read whole.
const maxNodes = 20_000

// tree reads the whole tree of a server, parents before children.
func (s *Side) tree(admin *client) ([]node, error) {
	var all []node
	level := []string{"/"}
	for len(level) > 0 && len(all) < maxNodes {
		nodes, err := s.nodes(admin, level)
		if err != nil {
			return nil, err
		}
		level = nil
		for i := range nodes {
			for _, name := range nodes[i].children {
				level = append(level, strings.TrimSuffix(nodes[i].path, "/")+"/"+name)
			}
		}
		all = append(all, nodes...)
	}
	return all, nil
}

// nodes reads some nodes.
func (s *Side) nodes(admin *client, paths []string) ([]node, error) {
	conn := admin.conn
	if conn == nil {
		return nil, fmt.Errorf("the admin's connection to %s is gone", s.Name)
	}
	nodes := make([]node, len(paths))
	var requests []Request
	for i, p := range paths {
		nodes[i].path = p
		path := Arg{Text: p}
		requests = append(requests, Request{Op: proto.OpGetData, Args: []Arg{path, {}}},
			Request{Op: proto.OpGetACL, Args: []Arg{path}}, Request{Op: proto.OpGetChildren, Args: []Arg{path, {}}})
	}
	// In pieces, so that neither side waits for the other to read.
	const piece = 3 * 100
	for begin := 0; begin < len(requests); begin += piece {
		part := requests[begin:min(begin+piece, len(requests))]
		conn.send(part, zxids{})
		for i := range part {
			frame, err := conn.frame(answerLimit)
			if err != nil {
				s.hangUp(admin)
				return nil, fmt.Errorf("reading the tree of %s: %w", s.Name, err)
			}
			conn.pending = conn.pending[1:]
			s.node(&nodes[(begin+i)/3], &part[i], frame)
		}
	}
	return nodes, nil
}

// node adds one answer to what is known about a node.
func (s *Side) node(n *node, r *Request, frame []byte) {
	cur := jute.NewCursor(frame)
	var h proto.ReplyHeader
	h.Decode(&cur)
	rest := cur.Rest()
	if h.Err != proto.CodeOK {
		n.text += fmt.Sprintf(" %v err %d", r.Op, int32(h.Err))
		return
	}
	d := decoder{names: s.names, cur: jute.NewCursor(rest)}
	d.body(r.Op)
	switch r.Op {
	case proto.OpGetData:
		n.text += strings.TrimPrefix(d.end(), " ")
		n.data = cur.Buffer()
	case proto.OpGetACL:
		text, _, _ := strings.Cut(d.end(), "] c=")
		n.text += text + "]"
		for i := cur.Int(); i > 0 && cur.Err() == nil; i-- {
			var a proto.ACL
			a.Decode(&cur)
			n.acl = append(n.acl, a)
		}
	default:
		for i := cur.Int(); i > 0 && cur.Err() == nil; i-- {
			n.children = append(n.children, cur.String())
		}
		slices.Sort(n.children)
	}
}

// reserved are the nodes that cannot be deleted, with the permissions that they begin with.
var reserved = map[string]proto.Perms{
	"/": proto.PermAll, "/zookeeper": proto.PermAll, "/zookeeper/quota": proto.PermAll, configPath: proto.PermRead,
}

// Reset deletes everything that scripts have left and starts the next one. It returns the tree
// then, which must be the same on both sides.
func (s *Side) Reset() ([]Line, error) {
	if err := s.lost(); err != nil {
		return nil, err
	}
	for label := range s.clients {
		s.hangUp(s.clients[label])
	}
	s.clients = map[string]*client{}
	admin := s.admins[0]
	nodes, err := s.tree(admin)
	if err != nil {
		return nil, err
	}
	s.clients[admin.label] = admin
	for _, n := range slices.Backward(nodes) {
		perms, keep := reserved[n.path]
		path := Arg{Text: n.path}
		var r Request
		switch {
		case !keep:
			r = Request{Op: proto.OpDelete, Args: []Arg{path, {N: -1}}}
		case len(n.acl) != 1 || n.acl[0] != proto.WorldACL(perms)[0]:
			world := ACLItem{int32(perms), Arg{Text: "world"}, Arg{Text: "anyone"}}
			r = Request{Op: proto.OpSetACL, Args: []Arg{path, {ACL: []ACLItem{world}}, {N: -1}}}
		case len(n.data) > 0 && n.path != configPath:
			r = Request{Op: proto.OpSetData, Args: []Arg{path, {}, {N: -1}}}
		default:
			continue
		}
		s.Do(Step{Client: admin.label, Act: Send, Requests: []Request{r}})
	}
	s.refresh(admin)
	if err = s.Begin(); err != nil {
		return nil, err
	}
	if nodes, err = s.tree(admin); err != nil {
		return nil, err
	}
	lines := describe(nodes)
	if len(nodes) != len(reserved) {
		return lines, fmt.Errorf("differ: %s cannot be reset: %d nodes are left", s.Name, len(nodes))
	}
	return lines, nil
}

// refresh gives the reserved nodes new zxids. Behind the old ones there may be some that did not count.
func (s *Side) refresh(admin *client) {
	for _, path := range slices.Sorted(maps.Keys(reserved)) {
		if path == configPath {
			continue
		}
		child := Arg{Text: strings.TrimSuffix(path, "/") + "/reset"}
		for _, r := range []Request{
			{Op: proto.OpCreate, Args: []Arg{child, {}, openACL, {}}},
			{Op: proto.OpDelete, Args: []Arg{child, {N: -1}}},
			{Op: proto.OpSetData, Args: []Arg{{Text: path}, {}, {N: -1}}},
		} {
			s.Do(Step{Client: admin.label, Requests: []Request{r}})
		}
	}
}
