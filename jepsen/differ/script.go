package differ

import (
	"slices"

	"github.com/zabkeeper/zabkeeper/proto"
)

// Script is what some clients do, one step after the other.
type Script []Step

// Act is a kind of step.
type Act uint8

// The acts. All but Send concern a client's connection.
const (
	// Send sends the requests of a step in one write and waits for their answers.
	Send Act = iota
	// Open connects with a new session. A session that the client had lives on.
	Open
	// Renew connects again with the client's last session.
	Renew
	// Drop ends the connection and leaves the session alone.
	Drop
	// Frame sends one frame without a header: the bytes of Raw are its content.
	Frame
	// Length sends a frame's length, N, and nothing behind it.
	Length
	// Mark remembers the newest zxid that the client has seen, for the requests that say "mark".
	Mark
	// Silent waits until the session has expired: its client stays connected and says nothing.
	Silent
	// LogIn authenticates the connection by SASL, or tries to.
	LogIn
	// Vanish waits until the session has expired: its client has dropped the connection.
	Vanish
)

// Step is one thing that one client does.
type Step struct {
	Client string
	Act    Act

	Requests []Request // of Send

	Timeout  int32 // of Open and Renew: the wanted session timeout in ms
	At       int   // of Open and Renew: which of the servers, see Connect
	N        int32 // of Length
	Raw      []byte
	Password Password // of Renew
	Login    *Login   // of LogIn
	Ahead    bool     // of Renew and Open: claim to have seen a zxid of the far future
}

// Password says what a Renew presents.
type Password uint8

// The passwords.
const (
	RightPassword Password = iota
	WrongPassword
	UnknownSession // a session id that no server has given out
)

// Request is one request. With Raw it is the bytes of its body, otherwise they are made of the
// arguments, one for each field of the operation's record.
type Request struct {
	Op     proto.Op
	Raw    []byte
	HasRaw bool
	Args   []Arg
	Items  []Request // of multi and multiRead
	Cut    int       // bytes left out at the end, or, below zero, put there
	Xid    proto.Xid // 0: the next one of the connection
}

// Arg is the value of one field. Which part counts depends on the field's kind.
type Arg struct {
	Null bool
	Text string    // str and buf
	N    int64     // num, long and flag
	Name string    // zxid: "mark" or "last", "" for N
	List []string  // strs
	ACL  []ACLItem // acl
}

// ACLItem is one entry of an access control list.
type ACLItem struct {
	Perms      int32
	Scheme, ID Arg
}

// kind is what a field of a request looks like on the wire and in a script.
type kind uint8

const (
	kStr  kind = iota // string, may be null
	kBuf              // buffer, may be null
	kFlag             // boolean
	kNum              // int
	kLong             // long
	kZxid             // long: a number, "mark" or "last"
	kACL              // vector of ACL, may be null
	kStrs             // vector of strings, may be null
)

// fieldsOf is the schema of the requests (spec client-protocol 6.2). What is not in it has no body.
var fieldsOf = map[proto.Op][]kind{
	proto.OpCreate:               {kStr, kBuf, kACL, kNum},
	proto.OpCreate2:              {kStr, kBuf, kACL, kNum},
	proto.OpCreateContainer:      {kStr, kBuf, kACL, kNum},
	proto.OpCreateTTL:            {kStr, kBuf, kACL, kNum, kLong},
	proto.OpDelete:               {kStr, kNum},
	proto.OpDeleteContainer:      {kStr},
	proto.OpExists:               {kStr, kFlag},
	proto.OpGetData:              {kStr, kFlag},
	proto.OpGetChildren:          {kStr, kFlag},
	proto.OpGetChildren2:         {kStr, kFlag},
	proto.OpSetData:              {kStr, kBuf, kNum},
	proto.OpGetACL:               {kStr},
	proto.OpSync:                 {kStr},
	proto.OpGetAllChildrenNumber: {kStr},
	proto.OpSetACL:               {kStr, kACL, kNum},
	proto.OpCheck:                {kStr, kNum},
	proto.OpCheckWatches:         {kStr, kNum},
	proto.OpRemoveWatches:        {kStr, kNum},
	proto.OpAddWatch:             {kStr, kNum},
	proto.OpSetWatches:           {kZxid, kStrs, kStrs, kStrs},
	proto.OpSetWatches2:          {kZxid, kStrs, kStrs, kStrs, kStrs, kStrs},
	proto.OpAuth:                 {kNum, kStr, kBuf},
	proto.OpSASL:                 {kBuf},
	proto.OpGetEphemerals:        {kStr},
	proto.OpReconfig:             {kStr, kStr, kStr, kLong},
	proto.OpCreateSession:        {kNum},
}

// named are the operations that a script calls by their names.
var named = func() map[string]proto.Op {
	ops := map[string]proto.Op{}
	for op := range fieldsOf {
		ops[op.String()] = op
	}
	for _, op := range []proto.Op{proto.OpPing, proto.OpWhoAmI, proto.OpCloseSession, proto.OpMulti, proto.OpMultiRead} {
		ops[op.String()] = op
	}
	return ops
}()

// isMulti reports whether the body of op is a list of operations.
func isMulti(op proto.Op) bool { return op == proto.OpMulti || op == proto.OpMultiRead }

// path returns the path that a request is about, "" if there is none.
func (r *Request) path() string {
	if fields := fieldsOf[r.Op]; len(fields) > 0 && fields[0] == kStr && len(r.Args) > 0 {
		return r.Args[0].Text
	}
	return ""
}

// clone returns a copy whose parts can be changed.
func (s Step) clone() Step {
	s.Requests = cloneRequests(s.Requests)
	return s
}

func cloneRequests(list []Request) []Request {
	list = slices.Clone(list)
	for i := range list {
		list[i].Args, list[i].Items = slices.Clone(list[i].Args), cloneRequests(list[i].Items)
	}
	return list
}

// changes reports whether the step may cause anything that another client sees.
func (s *Step) changes() bool {
	if s.Act != Send {
		return true
	}
	return slices.ContainsFunc(s.Requests, func(r Request) bool { return !r.Op.IsRead() })
}
