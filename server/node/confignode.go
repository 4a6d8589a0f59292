package node

import "github.com/zabkeeper/zabkeeper/server"

// configNode returns what clients read in /zookeeper/config: the server list with its version, and
// nothing on a standalone server. Where the list names no version it is 0, as in Apache ZooKeeper
// for as long as reconfigEnabled is off: that one gives the list the first leader's zxid only
// together with a file that it writes it to.
func (n *Node) configNode() *server.Ensemble {
	if n.conf.Standalone || n.conf.Ensemble == nil {
		return nil
	}
	return &server.Ensemble{Text: []byte(n.ensemble().ConfigData()), Version: n.ensemble().Version()}
}
