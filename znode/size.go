package znode

import "github.com/zabkeeper/zabkeeper/proto"

// Encoded lengths, in bytes, of what transactions are made of. The leader refuses a
// transaction that would be too long for its followers (hazard H-67), and must know before
// it has encoded it.
const (
	lenCount  = 4                 // of a vector; also the length field of a string or buffer
	lenHeader = 8 + 4 + 8 + 8 + 4 // a transaction's header
	lenDigest = 4 + 8             // behind a transaction
	lenSubTxn = 4 + 4             // before each operation of a multi
	lenError  = 4                 // an ErrorTxn
)

// minHeadroom is the least that a transaction may be longer than a request.
const minHeadroom = 1024

// MaxTxn returns the length in bytes of the longest transaction that Prepare makes when
// requests are limited to juteMaxBuffer bytes, header and digest included. As in ZooKeeper
// (jute.maxbuffer.extrasize) it is twice the limit: a transaction differs from its
// request by sequence numbers, by a few fields, and by the expansion of "auth". Whatever
// carries or stores transactions must let this length pass.
func MaxTxn(juteMaxBuffer int) int { return juteMaxBuffer + max(juteMaxBuffer, minHeadroom) }

func sizeACL(a *proto.ACL) int { return 4 + 4 + len(a.ID.Scheme) + 4 + len(a.ID.ID) }

func sizeACLs(acl []proto.ACL) int {
	n := lenCount
	for i := range acl {
		n += sizeACL(&acl[i])
	}
	return n
}

// sizeBody returns the encoded length of the bodies that one operation of a client
// can yield.
func sizeBody(body proto.TxnBody) int {
	switch t := body.(type) {
	case *proto.CreateTxn:
		return 4 + len(t.Path) + 4 + len(t.Data) + sizeACLs(t.ACL) + 1 + 4
	case *proto.CreateContainerTxn:
		return 4 + len(t.Path) + 4 + len(t.Data) + sizeACLs(t.ACL) + 4
	case *proto.CreateTTLTxn:
		return 4 + len(t.Path) + 4 + len(t.Data) + sizeACLs(t.ACL) + 4 + 8
	case *proto.DeleteTxn:
		return 4 + len(t.Path)
	case *proto.SetDataTxn:
		return 4 + len(t.Path) + 4 + len(t.Data) + 4
	case *proto.SetACLTxn:
		return 4 + len(t.Path) + sizeACLs(t.ACL) + 4
	case *proto.CheckVersionTxn:
		return 4 + len(t.Path) + 4
	case *proto.CreateSessionTxn:
		return 4
	}
	return lenError
}
