package znode

import "github.com/zabkeeper/zabkeeper/proto"

// EagerCheck judges a write before the leader does (enableEagerACLCheck, spec semantics 7.6):
// create, create2, delete, setData and setACL by the permissions that the view shows and by
// whether an ACL may be stored. The code is CodeNoAuth, CodeInvalidACL or CodeOK, which
// means that the leader shall decide, as about a missing node and a bad path. ids are the
// identities of the connection, judged what they count for.
func EagerCheck(v View, s *Schemes, request proto.Request, ids, judged []proto.ID) proto.Code {
	var path string
	var needed proto.Perms
	var acl *[]proto.ACL
	switch r := request.(type) {
	case *proto.CreateRequest:
		path, needed, acl = r.Path, proto.PermCreate, &r.ACL
	case *proto.DeleteRequest:
		path, needed = r.Path, proto.PermDelete
	case *proto.SetDataRequest:
		path, needed = r.Path, proto.PermWrite
	case *proto.SetACLRequest:
		path, needed, acl = r.Path, proto.PermAdmin, &r.ACL
	default:
		return proto.CodeOK
	}
	if needed == proto.PermCreate || needed == proto.PermDelete {
		if !weakPath(path) {
			return proto.CodeOK
		}
		path = Parent(path)
	}
	if acl != nil {
		if _, code := s.FixACL(*acl, ids, proto.DefaultMaxFrame); code == proto.CodeInvalidACL {
			return code
		}
	}
	if n := v.Node(canonical(path)); n != nil && !Allowed(n.ACL, needed, judged) {
		return proto.CodeNoAuth
	}
	return proto.CodeOK
}
