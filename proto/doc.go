// Package proto holds ZooKeeper's records: what clients and servers say to each other, and
// what a transaction looks like in the log and between servers. It has the numbers and
// names of the protocol (Op, Code, CreateMode, ...), one plain struct per record with Append
// and Decode, and the few rules that belong to the bytes rather than to the tree. It is pure:
// bytes in, structs out, no state.
//
// # Driving it
//
// Writing appends to a slice, which a busy connection keeps for the next message:
//
//	buf, mark := proto.BeginReply(buf, proto.ReplyHeader{Xid: xid, Zxid: z})
//	buf = proto.GetDataResponse{Data: data, Stat: stat}.Append(buf)
//	buf = proto.EndFrame(buf, mark)
//
// Reading goes through a jute.Cursor, which checks every length and keeps the first error:
//
//	c := jute.NewCursor(frame)
//	var h proto.RequestHeader
//	h.Decode(&c)
//	// c.Err() != nil: close the connection
//	// !h.Op.Known(): answer CodeUnimplemented, then close
//	req, err := proto.DecodeRequest(h.Op, c.Rest())
//	// err != nil: answer CodeMarshallingError
//
// Every record works in both directions, so clients, servers, tests and the bench share it.
// Hostile bytes give an error, never a panic, and never an allocation that is
// larger than a small multiple of the bytes themselves. Decoded buffers alias the input;
// decoded strings are copies.
//
// Not here: what a path or an ACL must look like and every other judgement about the
// tree (package znode), sockets, limits, order of replies (package server).
//
// # Frames
//
// Numbers are big-endian; jute's primitives are drawn in package jute. Every message, either
// way, is a frame:
//
//	| int32 n | n bytes |                      n: CheckFrameLen
//
//	first request     | ConnectRequest |
//	first reply       | ConnectResponse |
//	request           | RequestHeader | body, by op |
//	reply             | ReplyHeader   | body, by op, if err = 0 |
//	notification      | ReplyHeader, xid -1 | WatcherEvent |
//
//	ConnectRequest    int protocolVersion=0, long lastZxidSeen, int timeOut, long sessionId,
//	                  buffer passwd[16], [boolean readOnly]          44 or 45 bytes
//	ConnectResponse   int protocolVersion=0, int timeOut, long sessionId,
//	                  buffer passwd[16], [boolean readOnly]          36 or 37 bytes
//	RequestHeader     int xid, int op                                8 bytes
//	ReplyHeader       int xid, long zxid, int err                    16 bytes
//	WatcherEvent      int type, int state=3, ustring path
//
// The last byte of a ConnectResponse is there if the request had one.
//
// # Bodies
//
//	ID       ustring scheme, ustring id
//	ACL      int perms, ID
//	Stat     long czxid, long mzxid, long ctime, long mtime, int version, int cversion,
//	         int aversion, long ephemeralOwner, int dataLength, int numChildren,
//	         long pzxid                                              68 bytes
//
//	op                          request                                reply
//	create                      path, buffer data, vector ACL, int mode    path
//	create2, createContainer    path, buffer data, vector ACL, int mode    path, Stat
//	createTTL                   path, buffer data, vector ACL, int mode,   path, Stat
//	                            long ttl
//	delete                      path, int version                      -
//	exists                      path, boolean watch                    Stat
//	getData                     path, boolean watch                    buffer data, Stat
//	getChildren                 path, boolean watch                    vector names
//	getChildren2                path, boolean watch                    vector names, Stat
//	setData                     path, buffer data, int version         Stat
//	getACL                      path                                   vector ACL, Stat
//	setACL                      path, vector ACL, int version          Stat
//	sync                        path                                   path
//	getAllChildrenNumber        path                                   int n
//	getEphemerals               path prefix                            vector paths
//	reconfig                    ustring joining, leaving, newMembers,  buffer data, Stat
//	                            long configId
//	checkWatches, removeWatches path, int type                         -
//	addWatch                    path, int mode                         int 0
//	setWatches                  long zxid, 3 vectors of paths          -
//	setWatches2                 long zxid, 5 vectors of paths          -
//	auth                        int 0, ustring scheme, buffer auth     -
//	sasl                        buffer token                           buffer token
//	whoAmI                      -                                      vector (scheme, user)
//	ping, closeSession          -                                      -
//	multi, multiRead            { MultiHeader, request }, end          { MultiHeader, result }, end
//
//	MultiHeader                 int op, boolean done, int err          9 bytes
//	end                         ffffffff 01 ffffffff
//	result of an error          MultiHeader -1, 00, err; then int err once more
//
// # Null strings
//
// A string may be null on the wire. Where Apache ZooKeeper answers null otherwise than
// empty, Decode keeps them apart; elsewhere null reads as "":
//
//	create*, delete, exists, getData, getChildren*, getACL, getAllChildrenNumber,
//	any path inside a multi                       error, CodeMarshallingError
//	ACL ("world", null) in create, setACL         error, CodeMarshallingError
//	sync, reconfig                                NullString: echoed, or "not given"
//	setData, setACL                               "", which the tree refuses in the same way
//	addWatch, checkWatches, removeWatches,
//	getEphemerals, auth scheme                    "", which means the same
//
// Null data, null auth and null tokens are nil slices and stay null all the way. A null ACL list
// is a nil slice. A null vector of watches is an error. Lists of strings are never written
// as null.
//
// # Transactions
//
//	TxnHeader         long clientId, int cxid, long zxid, long time, int type    32 bytes
//	then by type
//	  create, create2     path, buffer data, vector ACL, boolean ephemeral, int parentCVersion
//	  createContainer     path, buffer data, vector ACL, int parentCVersion
//	  createTTL           path, buffer data, vector ACL, int parentCVersion, long ttl
//	  delete, deleteContainer   path
//	  setData, reconfig   path, buffer data, int version
//	  setACL              path, vector ACL, int version
//	  check               path, int version                  inside a multi alone
//	  multi               vector of { int type, buffer body }
//	  createSession       int timeOut
//	  closeSession        vector of paths
//	  error               int err
//	then                [int digestVersion, long digest]
//
// The layout is Apache ZooKeeper's, byte for byte. A failed multi is a multi whose operations
// are all errors, in the codes of its reply. The form of create before ZooKeeper 3.4, without
// parentCVersion, is not understood.
//
// The package follows spec client-protocol, and semantics 1.2, 4, 6 and 7 where they
// decide between bytes.
package proto
