package znode

import "github.com/zabkeeper/zabkeeper/proto"

// The reads answer from one View, which must not change while they run. They follow
// spec semantics 3.2; ids are what Schemes.Judged returns for the connection that asks. A
// code other than CodeOK comes with zero values. Results must not be changed by the caller.

// Exists returns the Stat of the node at path. It is the one read that refuses a
// path, for a NUL alone, with CodeBadArguments. A missing node is CodeNoNode; the watch
// of the request is set nevertheless.
func Exists(v View, path string, ids []proto.ID) (proto.Stat, proto.Code) {
	if hasNUL(path) {
		return proto.Stat{}, proto.CodeBadArguments
	}
	n, code := readable(v, path, proto.PermRead, ids)
	if code != proto.CodeOK {
		return proto.Stat{}, code
	}
	return n.Stat(), proto.CodeOK
}

// GetData returns the data of the node at path, nil for null, and its Stat.
func GetData(v View, path string, ids []proto.ID) ([]byte, proto.Stat, proto.Code) {
	n, code := readable(v, path, proto.PermRead, ids)
	if code != proto.CodeOK {
		return nil, proto.Stat{}, code
	}
	return n.Data, n.Stat(), proto.CodeOK
}

// GetChildren returns the names of the node's children, ascending, and its Stat: the answer
// to getChildren and to getChildren2. A list that would be longer than limit, in bytes as it is
// sent, is refused with CodeMarshallingError.
func GetChildren(v View, path string, ids []proto.ID, limit int) ([]string, proto.Stat, proto.Code) {
	n, code := readable(v, path, proto.PermRead, ids)
	if code != proto.CodeOK {
		return nil, proto.Stat{}, code
	}
	const header = 4 // the length in front of each name
	if int64(n.NumChildren)*(header+1) > int64(limit) {
		return nil, proto.Stat{}, proto.CodeMarshallingError
	}
	names := make([]string, 0, max(0, n.NumChildren))
	v.Children(canonical(path), func(name string) bool {
		limit -= header + len(name)
		names = append(names, name)
		return limit >= 0
	})
	if limit < 0 {
		return nil, proto.Stat{}, proto.CodeMarshallingError
	}
	return names, n.Stat(), proto.CodeOK
}

// GetACL returns the ACL of the node at path and its Stat. READ or ADMIN is needed; without
// ADMIN the list is redacted.
func GetACL(v View, path string, ids []proto.ID) ([]proto.ACL, proto.Stat, proto.Code) {
	n, code := readable(v, path, proto.PermRead|proto.PermAdmin, ids)
	if code != proto.CodeOK {
		return nil, proto.Stat{}, code
	}
	acl := fullACL(n.ACL)
	if !Allowed(n.ACL, proto.PermAdmin, ids) {
		acl = RedactACL(acl)
	}
	return acl, n.Stat(), proto.CodeOK
}

// readable returns the node at path if it exists and allows one of the needed things.
func readable(v View, path string, needed proto.Perms, ids []proto.ID) (*Node, proto.Code) {
	n := v.Node(canonical(path))
	switch {
	case n == nil:
		return nil, proto.CodeNoNode
	case !Allowed(n.ACL, needed, ids):
		return nil, proto.CodeNoAuth
	}
	return n, proto.CodeOK
}
