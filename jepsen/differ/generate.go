package differ

import (
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/zabkeeper/zabkeeper/proto"
)

// Weights say what scripts are made of, beyond what all are made of.
type Weights struct {
	FrameLimit int        // jute.maxbuffer of the servers
	Long       bool       // requests near the limit
	Quota      bool       // many quotas
	Ensemble   bool       // nothing about the ensemble's configuration
	Without    []proto.Op // operations that are left out
	Sound      bool       // every write can be decoded: others wedge an ensemble of the reference
	Servers    int        // sessions are spread over so many servers, and move; 0 is one
	Expiry     bool       // sessions expire
	SASL       bool       // clients log in
	Cleaner    bool       // the servers remove containers and nodes with a time to live
}

// generator makes one script. It keeps a rough picture of the tree, so that most requests are
// about nodes that are there.
type generator struct {
	*rand.Rand
	w        Weights
	clients  map[string]*generated
	paths    []string          // created, probably; parents before children
	owners   map[string]string // of the ephemeral ones: who created them
	counters map[string]int    // children created below a path
	mortal   map[string]bool   // nodes that the cleaner removes; true for containers
}

// generated is what the generator knows about a client.
type generated struct {
	name                      string
	at                        int // the server it was last connected to
	session, connected, super bool
	watched                   []string // where it has set watches
}

// clientNames are the clients of a script.
var clientNames = []string{"a", "b", "c"}

// Generate makes a script of about n steps. The same seed gives the same script.
func Generate(seed uint64, n int, w Weights) Script {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0x5eed)), w: w, clients: map[string]*generated{}, owners: map[string]string{}, counters: map[string]int{}, mortal: map[string]bool{}}
	for _, name := range clientNames {
		g.clients[name] = &generated{name: name}
	}
	script := Script{g.open("a"), g.open("b")}
	for range 2 + g.IntN(4) {
		script = append(script, Step{Client: "a", Requests: []Request{g.createPlain()}})
	}
	for len(script) < n {
		script = append(script, g.step()...)
		g.swept()
	}
	return script
}

// chance is true in p of 100 cases.
func (g *generator) chance(p int) bool { return g.IntN(100) < p }

// pick returns one of a list.
func pick[T any](g *generator, list []T) T { return list[g.IntN(len(list))] }

func (g *generator) open(name string) Step {
	c := g.clients[name]
	c.session, c.connected, c.super, c.watched = true, true, false, nil
	timeout := int32(600_000)
	if g.chance(20) && !g.w.Expiry {
		timeout = pick(g, []int32{0, -5, 59_999, 60_001, 3_599_999, 99_999_999})
	}
	c.at = g.server(slices.Index(clientNames, name))
	return Step{Client: name, Act: Open, Timeout: timeout, At: c.at}
}

// server returns a server for a client: mostly the usual one.
func (g *generator) server(usual int) int {
	switch {
	case g.w.Servers < 2:
		return 0
	case g.chance(60):
		return usual % g.w.Servers
	}
	return g.IntN(g.w.Servers)
}

// step returns the next step, with what is needed before it.
func (g *generator) step() []Step {
	name := pick(g, clientNames)
	c := g.clients[name]
	switch {
	case !c.connected && c.session && g.chance(70):
		return g.renew(name)
	case !c.connected:
		return []Step{g.open(name)}
	case g.w.SASL && g.chance(15):
		return g.login(name)
	case g.w.Expiry && g.chance(6):
		return g.expire(name)
	case g.chance(4):
		return g.connection(name)
	case g.chance(3):
		return g.rude(name)
	case g.chance(15):
		return g.burst(name)
	}
	return []Step{{Client: name, Requests: []Request{g.request(c)}}}
}

// renew makes a client come back, sometimes after an attempt that must fail.
func (g *generator) renew(name string) []Step {
	c := g.clients[name]
	var steps []Step
	switch g.IntN(8) {
	case 0:
		steps = append(steps, Step{Client: name, Act: Renew, Timeout: 600_000, Password: WrongPassword, At: g.server(c.at)})
	case 1:
		steps = append(steps, Step{Client: name, Act: Renew, Timeout: 600_000, Password: UnknownSession, At: g.server(c.at)})
	case 2:
		steps = append(steps, Step{Client: name, Act: Renew, Timeout: 600_000, Ahead: true, At: g.server(c.at)})
	}
	c.at = g.server(c.at)
	c.connected, c.super, c.watched = true, false, nil
	timeout := pick(g, []int32{600_000, 600_000, 1, 120_000})
	if g.w.Expiry {
		timeout = 600_000
	}
	steps = append(steps, Step{Client: name, Act: Renew, Timeout: timeout, At: c.at})
	if g.chance(60) {
		steps = append(steps, Step{Client: name, Requests: []Request{g.setWatches()}})
	}
	return steps
}

// connection does something to a connection.
func (g *generator) connection(name string) []Step {
	c := g.clients[name]
	switch g.IntN(6) {
	case 0:
		c.connected, c.session = false, false
		g.ended(name)
		steps := []Step{{Client: name, Requests: []Request{{Op: proto.OpCloseSession}}}}
		if g.chance(30) { // a session that is gone
			steps = append(steps, Step{Client: name, Act: Renew, Timeout: 600_000, At: g.server(c.at)})
		}
		return steps
	case 1:
		return g.renew(name)
	case 2:
		return []Step{g.open(name)}
	case 3:
		return []Step{{Client: name, Act: Mark}}
	}
	c.connected = false
	return []Step{{Client: name, Act: Mark}, {Client: name, Act: Drop}}
}

// expire makes a session end without its client.
func (g *generator) expire(name string) []Step {
	c := g.clients[name]
	c.connected, c.session = false, false
	g.ended(name)
	steps := []Step{{Client: name, Act: pick(g, []Act{Silent, Vanish})}}
	if g.chance(40) {
		steps = append(steps, Step{Client: name, Act: Renew, Timeout: 600_000, At: g.server(c.at)})
	}
	return steps
}

// rude sends what ends a connection, or nearly.
func (g *generator) rude(name string) []Step {
	c := g.clients[name]
	c.connected = false
	switch g.IntN(6) {
	case 0:
		return []Step{{Client: name, Act: Frame, Raw: make([]byte, g.IntN(8))}}
	case 1:
		return []Step{{Client: name, Act: Length, N: pick(g, []int32{-1, -1 << 31, int32(g.w.FrameLimit) + 1, 1<<31 - 1})}}
	case 2:
		bad := Request{Op: proto.OpAuth, Args: []Arg{{}, pick(g, badAuths), {Text: "x:y", Null: g.chance(20)}}}
		return []Step{{Client: name, Requests: []Request{bad}}}
	}
	op := pick(g, []proto.Op{0, 10, 13, 20, 23, 99, 108, -1, -2, -10, -12, 1 << 30})
	r := Request{Op: op, HasRaw: true}
	if g.chance(50) {
		r.Raw = g.bytes(g.IntN(20))
	}
	return []Step{{Client: name, Requests: []Request{r}}}
}

var badAuths = []Arg{{Text: "world"}, {Text: "nope"}, {Text: ""}, {Null: true}, {Text: "auth"}, {Text: "super"}, {Text: "x509"}}

func (g *generator) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(g.Uint32())
	}
	return b
}

// requestHeader is the length of what stands before a request's body.
const requestHeader = 8

// burst is several requests in one write.
func (g *generator) burst(name string) []Step {
	c := g.clients[name]
	var list []Request
	for range 2 + g.IntN(6) {
		r := g.request(c)
		// Answers are matched with requests by their xids.
		r.Xid = 0
		// Whether the reference judges a write behind an unfinished setACL by the old list or by
		// the new one is a matter of time; see Deviations.
		// The same goes for quotas, which are judged by what is applied (semantics 11.4).
		if r.Op.IsWrite() && slices.ContainsFunc(list, func(r Request) bool { return r.Op == proto.OpSetACL || g.w.Quota && r.Op.IsWrite() }) {
			continue
		}
		// And what becomes of the requests before a token that ends the connection.
		if g.w.SASL && r.Op == proto.OpSASL {
			continue
		}
		// And so is what the cleaner does to a request behind a write.
		if g.w.Cleaner && wrote(list) {
			break
		}
		if r.Op == proto.OpCreateContainer && proto.CreateMode(r.Args[3].N).Ephemeral() {
			continue // see Deviations
		}
		// So is whose identities the events of an unfinished write are judged by.
		if r.Op == proto.OpAuth && wrote(list) {
			continue
		}
		// A frame that is too long ends the connection, and what becomes of the requests before it
		// is a matter of time.
		if len(r.appendBody(nil, zxids{})) > g.w.FrameLimit-requestHeader {
			continue
		}
		list = append(list, r)
	}
	if g.chance(5) && (!g.w.Cleaner || !wrote(list)) {
		list = append(list, Request{Op: proto.OpCloseSession})
		g.ended(name)
		if g.chance(50) {
			g.clients[name].session = false
		}
		c.connected = false
	}
	if len(list) == 0 {
		list = []Request{{Op: proto.OpPing}}
	}
	return []Step{{Client: name, Requests: list}}
}

// wrote reports whether there is a write among the requests.
func wrote(list []Request) bool {
	return slices.ContainsFunc(list, func(r Request) bool { return r.Op.IsWrite() })
}

// request makes any request that does not end the connection.
func (g *generator) request(c *generated) Request {
	for {
		r := g.anyRequest(c)
		if g.without(r.Op) || slices.ContainsFunc(r.Items, func(i Request) bool { return g.without(i.Op) }) {
			continue
		}
		if c.super && strings.HasPrefix(r.path(), configPath) && r.Op.IsWrite() {
			continue // it cannot be put right again
		}
		if r = g.mangle(r); !g.w.Sound || sound(&r) {
			return r
		}
	}
}

// sound reports whether a write can be decoded.
func sound(r *Request) bool {
	if !r.Op.IsWrite() {
		return true
	}
	_, err := proto.DecodeRequest(r.Op, r.appendBody(nil, zxids{}))
	return err == nil
}

func (g *generator) without(op proto.Op) bool { return slices.Contains(g.w.Without, op) }

// mangle breaks the body of a few requests, and gives some an unusual xid.
func (g *generator) mangle(r Request) Request {
	ends := r.Op == proto.OpAuth || r.Op == proto.OpSASL
	if g.chance(2) && !ends {
		r.Cut = pick(g, []int{1, 2, 4, 5, 9, 17, 1000})
	} else if g.chance(2) && !ends {
		r.Cut = -1 - g.IntN(9)
	}
	if g.chance(2) {
		r.Xid = pick(g, []proto.Xid{-3, -4, -8, 1 << 30, -1 << 31})
	}
	return r
}

func (g *generator) anyRequest(c *generated) Request {
	n := g.IntN(100)
	switch {
	case g.w.Quota && n < 15:
		return g.quota()
	case n < 28 && len(g.paths) < maxPaths:
		return g.create(c.name)
	case n < 36:
		return g.delete()
	case n < 46:
		return g.setData()
	case n < 51:
		return Request{Op: proto.OpSetACL, Args: []Arg{g.path(), g.acl(), g.version()}}
	case n < 59:
		return g.multi(c.name)
	case n < 62:
		return g.multiRead()
	case n < 64:
		return g.auth(c)
	case n < 68:
		return g.setWatches()
	case n < 76:
		return g.watchOp(c)
	case n < 79:
		return g.rare()
	}
	return g.read(c)
}

// read reads, mostly with a watch.
func (g *generator) read(c *generated) Request {
	op := pick(g, []proto.Op{
		proto.OpExists, proto.OpExists, proto.OpGetData, proto.OpGetData, proto.OpGetChildren, proto.OpGetChildren2,
		proto.OpGetChildren2, proto.OpGetACL, proto.OpGetEphemerals, proto.OpGetAllChildrenNumber,
	})
	path := g.path()
	if g.chance(40) {
		c.watched = append(c.watched, path.Text)
	}
	switch op {
	case proto.OpGetACL, proto.OpGetAllChildrenNumber:
		return Request{Op: op, Args: []Arg{path}}
	case proto.OpGetEphemerals:
		if g.chance(50) {
			path = pick(g, []Arg{{Null: true}, {}, {Text: "/"}, {Text: " "}, {Text: "/a"}, {Text: "/b/"}, {Text: "a"}, {Text: "\t"}, {Text: "\u00a0"}})
		}
		return Request{Op: op, Args: []Arg{path}}
	}
	flag := Arg{N: 1}
	if g.chance(35) {
		flag.N = 0
	} else if g.chance(5) {
		flag.N = 0x40 // any byte but zero is true
	}
	return Request{Op: op, Args: []Arg{path, flag}}
}

// rare makes what clients seldom ask.
func (g *generator) rare() Request {
	switch g.IntN(6) {
	case 0:
		return Request{Op: proto.OpPing}
	case 1:
		return Request{Op: proto.OpWhoAmI}
	case 2:
		return Request{Op: proto.OpSASL, Args: []Arg{pick(g, []Arg{{}, {Null: true}, {Text: "token"}})}}
	case 3:
		text := Arg{Text: pick(g, []string{"", "server.1=127.0.0.1:1:2;3", "4", "x"}), Null: g.chance(50)}
		return Request{Op: proto.OpReconfig, Args: []Arg{text, text, text, {N: -1}}}
	}
	return Request{Op: proto.OpSync, Args: []Arg{g.path()}}
}

// auth adds an identity; super seldom, because nothing is refused to it.
func (g *generator) auth(c *generated) Request {
	id := pick(g, []string{"u:p", "v:q", "abc", "u:", ":p", "a:b:c", "", "u:\xff"})
	if g.chance(6) {
		id, c.super = SuperAuth, true
	}
	r := Request{Op: proto.OpAuth, Args: []Arg{{}, {Text: "digest"}, {Text: id}}}
	if g.chance(10) {
		r.Args[1].Text = "ip"
	}
	if g.chance(20) {
		r.Xid = proto.XidAuth
	}
	return r
}

// watchOp adds, looks for or removes a watch.
func (g *generator) watchOp(c *generated) Request {
	path := g.path()
	if len(c.watched) > 0 && g.chance(70) {
		path = Arg{Text: pick(g, c.watched)}
	}
	switch g.IntN(4) {
	case 0:
		return Request{Op: proto.OpCheckWatches, Args: []Arg{path, {N: int64(g.IntN(7))}}}
	case 1:
		return Request{Op: proto.OpRemoveWatches, Args: []Arg{path, {N: int64(g.IntN(7))}}}
	}
	c.watched = append(c.watched, path.Text)
	mode := int64(g.IntN(2))
	if g.chance(5) {
		mode = pick(g, []int64{2, -1, 1 << 30})
	}
	return Request{Op: proto.OpAddWatch, Args: []Arg{path, {N: mode}}}
}

// setWatches restores watches as of an older zxid.
func (g *generator) setWatches() Request {
	z := pick(g, []Arg{{}, {N: -1}, {N: 1 << 62}, {Name: "mark"}, {Name: "mark"}, {Name: "mark"}, {Name: "last"}})
	r := Request{Op: proto.OpSetWatches, Args: []Arg{z}}
	lists := 3
	if g.chance(50) && !g.without(proto.OpSetWatches2) {
		r.Op, lists = proto.OpSetWatches2, 5
	}
	for range lists {
		list := Arg{Null: g.chance(2)}
		for range g.IntN(3) {
			list.List = append(list.List, g.path().Text)
		}
		r.Args = append(r.Args, list)
	}
	if g.chance(50) {
		r.Xid = proto.XidSetWatches
	}
	return r
}
