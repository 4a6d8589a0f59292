package znode

import "github.com/zabkeeper/zabkeeper/proto"

// PathNode is a node with its path.
type PathNode struct {
	Path string
	Node *Node
}

// InitialNodes returns the nodes of a tree to which nothing has been applied, parents
// before children (spec semantics 12.1). No transaction makes them. They are new at each call.
func InitialNodes() []PathNode {
	return []PathNode{
		{RootPath, &Node{Data: []byte{}, NumChildren: 1}},
		{SystemPath, &Node{Data: []byte{}, NumChildren: 2}},
		{ConfigPath, &Node{Data: []byte{}, ACL: proto.WorldACL(proto.PermRead), Aversion: -1}},
		{QuotaPath, &Node{Data: []byte{}}},
	}
}
