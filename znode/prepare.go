package znode

import (
	"slices"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// PrepareOptions are the settings of a Preparer.
type PrepareOptions struct {
	// JuteMaxBuffer is the limit on requests in bytes; 0 is proto.DefaultMaxFrame. It
	// bounds transactions as MaxTxn says.
	JuteMaxBuffer int
	// SkipACL lets everybody do everything (zookeeper.skipACL).
	SkipACL bool
	// Schemes are the authentication schemes that count.
	Schemes Schemes
	// EnforceQuota looks at quotas: hard limits refuse, and QuotaNotice has something to
	// tell.
	EnforceQuota bool
	// Digest makes transactions carry the digest of the tree behind them; TreeDigest is that of the
	// view when the Preparer is made, without SystemDigest.
	Digest     bool
	TreeDigest uint64
	// ExtendedTypes allows nodes with a time to live (extendedTypesEnabled).
	ExtendedTypes bool
}

// Request is a write as the leader gets it.
type Request struct {
	Session proto.SessionID
	Cxid    proto.Xid
	Op      proto.Op
	// Body is the request record as received. The server that received it has checked that it
	// can be decoded; bytes that cannot be are refused nevertheless.
	Body []byte
	// IDs are the identities of the connection when the request arrived.
	IDs []proto.ID
	// SessionCode is what the session check says: CodeOK, or the refusal of every write of
	// this session. Creating and closing sessions does not look at it.
	SessionCode proto.Code
	// EphemeralCode is what an ephemeral of a session that the tree does not know is refused
	// with; CodeOK stands for CodeSessionExpired.
	EphemeralCode proto.Code
	// GrowthCode is what creations and changes of data and ACLs are refused with: CodeOK, or that
	// there is no room for them. Deletions make room.
	GrowthCode proto.Code
	// Timeout is the negotiated timeout in ms, for OpCreateSession.
	Timeout int32
	// Reconfig, for OpReconfig, is what the leader of the ensemble makes of the request.
	Reconfig Reconfig
}

// Reconfig is the judgement of a reconfiguration by those who know the ensemble (spec semantics
// 12.3): its refusal, or what the configuration node is to hold. Last is a refusal for those who have the
// permission, of what ZooKeeper would do.
type Reconfig struct {
	Code proto.Code
	Last proto.Code
	Data []byte
}

// Preparer makes transactions of requests: it judges each one against the tree as it
// will be after everything proposed before, and writes down the result in absolute terms.
// It lives as long as one leader leads and is used by one goroutine. The view may move on at
// any time, but only by transactions of this Preparer, and Applied must
// not run ahead of it.
//
// ZooKeeper's counterpart is PrepRequestProcessor.
type Preparer struct {
	view    View
	limit   int // MaxTxn
	skipACL bool
	schemes Schemes
	// extendedTypes is PrepareOptions.ExtendedTypes.
	extendedTypes bool
	// enforceQuota is PrepareOptions.EnforceQuota.
	enforceQuota bool

	pending pending
	// digesting is PrepareOptions.Digest; digest is that of the tree behind everything proposed.
	digesting bool
	digest    uint64

	// Of the request that is being prepared.
	request *Request
	judged  []proto.ID // what its identities count for
	notice  QuotaNotice
	zxid    zxid.ID
	now     int64 // ms since 1970
	room    int   // left for bodies in the transaction
}

// NewPreparer returns a Preparer over view, which must show everything that was ever
// proposed.
func NewPreparer(view View, opts PrepareOptions) *Preparer {
	if opts.JuteMaxBuffer <= 0 {
		opts.JuteMaxBuffer = proto.DefaultMaxFrame
	}
	return &Preparer{
		view:          view,
		limit:         MaxTxn(opts.JuteMaxBuffer),
		skipACL:       opts.SkipACL,
		schemes:       opts.Schemes,
		extendedTypes: opts.ExtendedTypes,
		enforceQuota:  opts.EnforceQuota,
		pending:       newPending(),
		digesting:     opts.Digest,
		digest:        opts.TreeDigest,
	}
}

// Applied says that the view shows everything up to z, so that less needs to be remembered.
func (p *Preparer) Applied(z zxid.ID) { p.pending.prune(z) }

// Prepare returns the transaction that r comes to as number id, which must be above all
// earlier ones. Every request has one: a refusal is a transaction of type OpError, a multi
// that fails one of errors alone (spec semantics 3.1, 6). nowMs is the time of day in
// ms since 1970. Buffers in the result alias r.Body.
func (p *Preparer) Prepare(r *Request, id zxid.ID, nowMs int64) proto.Txn {
	p.request, p.zxid, p.now, p.judged = r, id, nowMs, p.schemes.Judged(r.IDs)
	p.notice = QuotaNotice{}
	p.room = p.limit - lenHeader - lenDigest
	header := proto.TxnHeader{ClientID: r.Session, Cxid: r.Cxid, Zxid: id, Time: nowMs, Type: r.Op}
	body, code := p.body(r)
	if code != proto.CodeOK {
		header.Type, body = proto.OpError, &proto.ErrorTxn{Err: code}
	}
	p.request, p.judged = nil, nil
	return p.sign(proto.Txn{TxnHeader: header, Body: body})
}

// sign adds the digest of the tree behind a transaction.
func (p *Preparer) sign(txn proto.Txn) proto.Txn {
	if p.digesting {
		txn.HasDigest, txn.DigestVersion, txn.Digest = true, DigestVersion, p.digest
	}
	return txn
}

// body decodes a request and prepares it. The list of operations is closed: each one
// gets exactly one transaction, whoever sends it (hazard H-64).
func (p *Preparer) body(r *Request) (proto.TxnBody, proto.Code) {
	switch r.Op {
	case proto.OpMulti:
		return p.multi(r.Body)
	case proto.OpCreateSession:
		return p.createSession()
	case proto.OpCloseSession:
		return p.closeSession(), proto.CodeOK
	case proto.OpCreate, proto.OpCreate2, proto.OpCreateContainer, proto.OpCreateTTL,
		proto.OpDelete, proto.OpSetData, proto.OpSetACL:
		request := proto.NewRequest(r.Op)
		c := jute.NewCursor(r.Body)
		if request.Decode(&c); c.Err() != nil {
			return nil, proto.CodeMarshallingError
		}
		return p.one(r.Op, request)
	case proto.OpReconfig:
		return p.reconfig(&r.Reconfig)
	default:
		return nil, proto.CodeUnimplemented
	}
}

// one prepares a request, or one operation of a multi, that concerns one node.
func (p *Preparer) one(op proto.Op, request proto.Request) (proto.TxnBody, proto.Code) {
	if code := p.request.GrowthCode; code != proto.CodeOK && op != proto.OpDelete && op != proto.OpCheck {
		return nil, code
	}
	switch request := request.(type) {
	case *proto.CreateRequest:
		return p.create(op, request)
	case *proto.CreateTTLRequest:
		return p.createTTL(request)
	case *proto.DeleteRequest:
		return p.remove(request)
	case *proto.SetDataRequest:
		return p.setData(request)
	case *proto.SetACLRequest:
		return p.setACL(request)
	case *proto.CheckVersionRequest:
		return p.check(request)
	default:
		return nil, proto.CodeUnimplemented
	}
}

// multi prepares the operations in order, each against what the earlier ones leave. If one
// fails nothing is left of any, counters of sequential children included.
func (p *Preparer) multi(body []byte) (proto.TxnBody, proto.Code) {
	var request proto.MultiRequest
	c := jute.NewCursor(body)
	if request.Decode(&c); c.Err() != nil {
		return nil, proto.CodeMarshallingError
	}
	p.room -= lenCount
	txns := make([]proto.SubTxn, len(request.Ops))
	p.pending.beginUndo()
	before := p.digest
	for i, op := range request.Ops {
		p.room -= lenSubTxn
		op = withoutTTL(op)
		sub, code := p.one(op.Op, op.Request)
		if code != proto.CodeOK {
			p.pending.endUndo(true)
			p.digest = before
			failMulti(txns, i, code)
			return &proto.MultiTxn{Txns: txns}, proto.CodeOK
		}
		p.room -= sizeBody(sub)
		txns[i] = proto.SubTxn{Type: op.Op, Body: sub}
	}
	p.pending.endUndo(false)
	return &proto.MultiTxn{Txns: txns}, proto.CodeOK
}

// withoutTTL turns a createTTL whose mode has no time to live into the plain creation that
// ZooKeeper takes it for inside a multi, and there alone; the time does not count.
func withoutTTL(op proto.MultiOp) proto.MultiOp {
	r, ok := op.Request.(*proto.CreateTTLRequest)
	if !ok || r.Mode.TTL() {
		return op
	}
	op.Op = proto.OpCreate
	if r.Mode == proto.ModeContainer {
		op.Op = proto.OpCreateContainer
	}
	op.Request = &proto.CreateRequest{Path: r.Path, Data: r.Data, ACL: r.ACL, Mode: r.Mode}
	return op
}

// failMulti makes txns the record of a multi whose operation k failed: no error before
// it, CodeRuntimeInconsistency after it (spec client-protocol 8).
func failMulti(txns []proto.SubTxn, k int, code proto.Code) {
	errs := make([]proto.ErrorTxn, len(txns))
	for i := range txns {
		switch {
		case i == k:
			errs[i].Err = code
		case i > k:
			errs[i].Err = proto.CodeRuntimeInconsistency
		}
		txns[i] = proto.SubTxn{Type: proto.OpError, Body: &errs[i]}
	}
}

// createSession refuses an id that is in use, whose ephemerals the new session would inherit,
// and one that as an owner word would not mean a session (hazard H-69).
func (p *Preparer) createSession() (proto.TxnBody, proto.Code) {
	id := p.request.Session
	if !isSession(id) {
		return nil, proto.CodeBadArguments
	}
	if p.live(id) {
		return nil, proto.CodeSessionExpired
	}
	p.pending.putSession(id, true, p.zxid)
	return &proto.CreateSessionTxn{TimeOut: p.request.Timeout}, proto.CodeOK
}

// closeSession ends a session and lists its ephemerals, those of pending creates included.
// It cannot be refused: a list that is too long for a transaction is cut, and
// Apply deletes what is left without it (hazard H-67).
func (p *Preparer) closeSession() proto.TxnBody {
	id := p.request.Session
	var paths []string
	p.view.Ephemerals(id, func(path string) bool {
		if e := p.pending.nodes[path]; e == nil || e.exists && e.owner == id {
			paths = append(paths, path)
		}
		return true
	})
	p.pending.ephemerals(id, func(path string) { paths = append(paths, path) })
	slices.Sort(paths)
	paths = slices.Compact(paths)
	for _, path := range paths {
		p.putDeleted(path)
	}
	p.pending.putSession(id, false, p.zxid)

	size := lenCount
	for i, path := range paths {
		if size += 4 + len(path); size > p.room {
			paths = paths[:i:i]
			break
		}
	}
	return &proto.CloseSessionTxn{Paths: paths}
}

// live reports whether the session exists once everything proposed is applied.
func (p *Preparer) live(id proto.SessionID) bool {
	if s, ok := p.pending.sessions[id]; ok {
		return s.live
	}
	_, ok := p.view.Session(id)
	return ok
}

// look returns the node at path as it will be once everything proposed is applied.
func (p *Preparer) look(path string) nodeState {
	if e := p.pending.nodes[path]; e != nil {
		return e.nodeState
	}
	n := p.view.Node(path)
	if n == nil {
		return nodeState{}
	}
	return nodeState{
		exists: true, acl: n.ACL, owner: n.Owner,
		version: n.Version, aversion: n.Aversion, created: n.Created, children: n.NumChildren,
		size: int32(len(n.Data)), czxid: n.Czxid, mzxid: n.Mzxid, pzxid: n.Pzxid, ctime: n.Ctime, mtime: n.Mtime,
		null: n.Data == nil, data: n.Data,
	}
}

// put records the state in which the transaction leaves the node at path.
func (p *Preparer) put(path string, s nodeState) {
	if p.digesting {
		old := p.digestOf(path)
		s.sum = s.digest(path)
		p.digest += s.sum - old
	}
	s.data = nil // not to be kept
	p.pending.put(path, s, p.zxid)
}

// digestOf returns what the node at path adds to the digest once everything proposed is applied.
func (p *Preparer) digestOf(path string) uint64 {
	if e := p.pending.nodes[path]; e != nil {
		return e.sum
	}
	if undigested(path) {
		return 0
	}
	return NodeDigest(path, p.view.Node(path))
}

// putDeleted records the deletion of the node at path.
func (p *Preparer) putDeleted(path string) {
	parentPath := Parent(path)
	if parent := p.look(parentPath); parent.exists {
		parent.children--
		parent.pzxid = p.zxid
		p.put(parentPath, parent)
	}
	p.put(path, nodeState{})
}

func (p *Preparer) allowed(s *nodeState, needed proto.Perms) bool {
	return p.skipACL || Allowed(s.acl, needed, p.judged)
}
