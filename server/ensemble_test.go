package server_test

import (
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server"
)

// The reply to setACL tells of the same /zookeeper/config as reads do, whatever is replicated
// (spec semantics 12.2).
func TestConfigStatIsTheEnsembles(t *testing.T) {
	w := newTwin(t, 2, func(c *server.Config) {
		c.Ensemble = &server.Ensemble{Text: []byte("server.1=h:1:2:participant\nversion=0")}
		c.SkipACL = true
	})
	for i, m := range w.members {
		c := m.connect(t)
		set := proto.SetACLRequest{Path: "/zookeeper/config", ACL: proto.WorldACL(proto.PermRead), Version: -1}
		changed := c.must(proto.OpSetACL, set).decode(t, new(proto.StatResponse)).(*proto.StatResponse).Stat
		read := c.must(proto.OpExists, proto.ReadRequest{Path: "/zookeeper/config"}).decode(t, new(proto.StatResponse)).(*proto.StatResponse).Stat
		if changed != read || read.DataLength == 0 || read.Mtime == 0 || read.Version != -1 || read.Aversion != int32(i) {
			t.Errorf("server %d: the reply says %+v, a read %+v", i+1, changed, read)
		}
	}
}
