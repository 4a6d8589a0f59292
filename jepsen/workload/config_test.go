package workload_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
	"github.com/zabkeeper/zabkeeper/jepsen/cluster"
	"github.com/zabkeeper/zabkeeper/jepsen/workload"
	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server/zktest"
)

// TestClientsFollowTheList: the operator changes the members, and clients that began with a server that is gone go by
// the list.
func TestClientsFollowTheList(t *testing.T) {
	e := zktest.Start(t, 4, zktest.Spares(1), zktest.Set("reconfigEnabled", "true"),
		zktest.Set("DigestAuthenticationProvider.superDigest", "super:xQJmxLMiHGwaqBvst5y6rkB6HQs="))
	gone, spare, leader := e.Followers(t)[0], e.Server(4), e.Leader(t)
	env := &workload.Env{
		Servers: []string{gone.Addr()}, Recorder: workload.NewRecorder(), Timeout: 4 * time.Second,
		Seed: 1, Pace: 2 * time.Millisecond, Duration: time.Minute,
	}
	all, err := workload.New("config")
	if err != nil {
		t.Fatal(err)
	}
	w := all[0]
	s, err := workload.Open([]string{leader.Addr()}, env.Timeout, 1, env.Recorder)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := w.Setup(s, env); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	work, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { w.Run(work, env) })
	op := workload.NewOperator(env, cluster.Super, leader.Addr())
	change := func(joining, leaving, members string) {
		t.Helper()
		zktest.Eventually(t, "the members change", func() error { return op.Reconfig(ctx, joining, leaving, members, -1) })
	}

	spare.Enlist(t, "observer", e.Servers()[:3]...)
	var list []string
	for _, server := range e.Servers() {
		list = append(list, server.Spec("participant"))
	}
	change("", "", strings.Join(list, ","))
	each := func(what string, did func(o check.Op) bool) {
		t.Helper()
		zktest.Eventually(t, what, func() error {
			clients := map[int]bool{}
			for _, o := range env.Recorder.History() {
				if o.Workload == "config" && o.Outcome == check.OK && did(o) {
					clients[o.Client] = true
				}
			}
			if len(clients) < 2 {
				return errors.New("not yet")
			}
			return nil
		})
	}
	each("each client knows more than one server", func(o check.Op) bool {
		return o.Kind == check.KindConfig && strings.Contains(o.Value, leader.Addr())
	})
	leaves := strings.TrimPrefix(strings.SplitN(gone.Spec("participant"), "=", 2)[0], "server.")
	change("", leaves, "")
	text, err := op.Config(ctx)
	if err != nil || strings.Contains(text, gone.Addr()) || !strings.Contains(text, spare.Addr()) {
		t.Fatalf("the list is %q, %v", text, err)
	}
	if err := errors.Join(op.Write(ctx), op.Write(ctx)); err != nil {
		t.Fatal(err)
	}
	gone.Stop(t)
	from := env.Recorder.Now()
	each("each client writes over servers of the list", func(o check.Op) bool {
		return o.Kind == check.KindCAS && o.Call > int64(from) && strings.Contains(text, o.Server)
	})
	if err := op.Reconfig(ctx, "", "", list[0], -1); !errors.Is(err, proto.CodeBadArguments) {
		t.Errorf("one voter: %v", err)
	}
	stop()
	wg.Wait()
	w.Held(env)
	op.Close(ctx)
	known := 0
	h := env.Recorder.History()
	for _, o := range h {
		if o.Kind == check.KindKnown && o.Outcome == check.OK {
			known++
		}
	}
	if v := check.Configs(h, check.Final{Trees: []check.Tree{{Config: text}}}, true); len(v) > 0 || known != 2 {
		t.Errorf("%d clients know the list, %v", known, v)
	}
}
