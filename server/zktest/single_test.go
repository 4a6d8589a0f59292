package zktest_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/zabkeeper/zabkeeper/server/zktest"
)

// Clients that wait for each write before the next one, one of them alone and several at once, on every
// server: a wake-up that is lost anywhere between socket, log and reply would leave one waiting for ever,
// since nothing comes after it [H-60, ZOOKEEPER-4537].
func TestManySingleWrites(t *testing.T) {
	const writes = 150
	e := zktest.Start(t, 3)
	for _, clients := range []int{1, 4} {
		var done atomic.Int64
		errs := make(chan error, clients*len(e.Servers()))
		for _, s := range e.Servers() {
			for c := range clients {
				conn := e.Connect(t, s)
				go func() {
					errs <- func() error {
						path := fmt.Sprintf("/single-%d-%d-%d", clients, s.ID, c)
						if _, err := conn.Create(path, nil, 0, zk.WorldACL(zk.PermAll)); err != nil {
							return err
						}
						for v := range int32(writes) {
							if _, err := conn.Set(path, []byte("x"), v); err != nil {
								return fmt.Errorf("%s, version %d: %w", path, v, err)
							}
							done.Add(1)
						}
						return nil
					}()
				}()
			}
		}
		for range cap(errs) {
			select {
			case err := <-errs:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(time.Minute):
				t.Fatalf("somebody waits for ever: %d writes of %d were answered", done.Load(), cap(errs)*writes)
			}
		}
	}
	e.WaitEqual(t)
}
