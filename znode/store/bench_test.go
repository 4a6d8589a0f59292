package store_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/znode"
	"github.com/zabkeeper/zabkeeper/znode/store"
)

// benchNodes is the size of the trees that benchmarks run on:
//
//	go test -run - -bench . -nodes 10000,1000000 ./znode/store
var benchNodes = flag.String("nodes", "10000", "sizes of the trees in benchmarks, in nodes, with commas")

// overSizes runs f on a tree of each size, 100 bytes of data per node, on a real disk.
func overSizes(b *testing.B, f func(b *testing.B, s *store.Store, nodes int)) {
	for _, text := range strings.Split(*benchNodes, ",") {
		nodes, err := strconv.Atoi(text)
		if err != nil {
			b.Fatalf("-nodes: %v", err)
		}
		b.Run("nodes="+text, func(b *testing.B) {
			s, err := store.Open(store.Config{
				Dir: b.TempDir(), Logger: zerolog.Nop(), Fatal: func(err error) { panic(err) },
			})
			if err != nil {
				b.Fatal(err)
			}
			defer closeStore(b, s)
			bulk(b, s, nil, nodes, 100)
			if err := s.Flush(); err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			f(b, s, nodes)
		})
	}
}

func bulkPath(i int) string { return fmt.Sprintf("/bulk/%07d", i) }

// BenchmarkInstall changes the data of random nodes. The time is per record; that of
// znode.Changes is left out.
func BenchmarkInstall(b *testing.B) {
	overSizes(b, func(b *testing.B, s *store.Store, nodes int) {
		rng := rand.New(rand.NewPCG(1, 1))
		for _, batch := range []int{1, 32, 256} {
			b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
				c := znode.NewChanges(s)
				data := make([]byte, 100)
				b.ReportAllocs()
				for i := 0; i < b.N; i += batch {
					b.StopTimer()
					c.Reset(s)
					z := s.Applied().ID
					for range batch {
						z++
						c.Apply(txn(proto.OpSetData, 1, z, &proto.SetDataTxn{Path: bulkPath(rng.IntN(nodes)), Data: data, Version: 1}))
					}
					b.StartTimer()
					if err := s.Install(c, point(z)); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	})
}

// BenchmarkApplyInstall is Install with the work before it: 32 creates under one parent.
func BenchmarkApplyInstall(b *testing.B) {
	overSizes(b, func(b *testing.B, s *store.Store, _ int) {
		c := znode.NewChanges(s)
		data := make([]byte, 100)
		b.ReportAllocs()
		for i := 0; i < b.N; i += 32 {
			c.Reset(s)
			z := s.Applied().ID
			for j := range 32 {
				z++
				c.Apply(createTxn(z, fmt.Sprintf("/bulk/new-%d-%d", i, j)+strconv.FormatInt(int64(z), 16), data))
			}
			if err := s.Install(c, point(z)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkNode(b *testing.B) {
	overSizes(b, func(b *testing.B, s *store.Store, nodes int) {
		paths := make([]string, 1<<14)
		rng := rand.New(rand.NewPCG(1, 1))
		for i := range paths {
			paths[i] = bulkPath(rng.IntN(nodes))
		}
		b.Run("hot", func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if s.Node(paths[i%1000]) == nil {
					b.Fatal("no node")
				}
			}
		})
		b.Run("hot-parallel", func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					s.Node(paths[i%1000])
				}
			})
		})
		b.Run("random", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Node(bulkPath(rng.IntN(nodes)))
			}
		})
		b.Run("missing", func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if s.Node(paths[i%1000]+"x") != nil {
					b.Fatal("a node")
				}
			}
		})
		b.Run("session", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Session(77)
			}
		})
	})
}

func BenchmarkChildren1000(b *testing.B) {
	overSizes(b, func(b *testing.B, s *store.Store, _ int) {
		c := znode.NewChanges(s)
		z := s.Applied().ID + 1
		c.Apply(createTxn(z, "/wide", nil))
		for i := range 1000 {
			z++
			c.Apply(createTxn(z, fmt.Sprintf("/wide/%010d", i), make([]byte, 100)))
		}
		if err := s.Install(c, point(z)); err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if got := len(children(s, "/wide")); got != 1000 {
				b.Fatalf("%d children", got)
			}
		}
	})
}

// BenchmarkSnapshot streams the tree; MB/s and, per operation, one whole tree.
func BenchmarkSnapshot(b *testing.B) {
	overSizes(b, func(b *testing.B, s *store.Store, _ int) {
		var size int64
		for b.Loop() {
			size = 0
			snap, err := s.Snapshot()
			if err != nil {
				b.Fatal(err)
			}
			for done := false; !done; {
				var chunk []byte
				if chunk, done, err = snap.Next(256 << 10); err != nil {
					b.Fatal(err)
				}
				size += int64(len(chunk))
			}
			if err := snap.Close(); err != nil {
				b.Fatal(err)
			}
		}
		b.SetBytes(size)
	})
}

// BenchmarkReplace stages and installs the whole tree.
func BenchmarkReplace(b *testing.B) {
	overSizes(b, func(b *testing.B, s *store.Store, _ int) {
		for b.Loop() {
			snap, err := s.Snapshot()
			if err != nil {
				b.Fatal(err)
			}
			st, err := s.Stage("bench")
			if err != nil {
				b.Fatal(err)
			}
			for done := false; !done; {
				var chunk []byte
				if chunk, done, err = snap.Next(256 << 10); err == nil {
					err = st.Write(chunk)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
			if _, err := st.Finish(); err != nil {
				b.Fatal(err)
			}
			if err := s.Replace(st); err != nil {
				b.Fatal(err)
			}
			if err := snap.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRestart opens a tree and reads a node. It also reports the resident memory of a
// process that has built such a tree and read it at random.
func BenchmarkRestart(b *testing.B) {
	overSizes(b, func(b *testing.B, s *store.Store, nodes int) {
		for range 200_000 {
			s.Node(bulkPath(rand.IntN(nodes)))
		}
		resident := residentMiB(b)
		dir := b.TempDir()
		build(b, dir, nodes)
		for b.Loop() {
			again, err := store.Open(store.Config{Dir: dir, Logger: zerolog.Nop(), Fatal: func(err error) { panic(err) }})
			if err != nil {
				b.Fatal(err)
			}
			if again.Node(bulkPath(nodes/2)) == nil {
				b.Fatal("no node")
			}
			b.StopTimer()
			closeStore(b, again)
			b.StartTimer()
		}
		b.ReportMetric(resident, "worked-MiB")
	})
}

// build makes a closed tree of so many nodes in dir.
func build(b *testing.B, dir string, nodes int) {
	b.Helper()
	s, err := store.Open(store.Config{Dir: dir, Logger: zerolog.Nop(), Fatal: func(err error) { panic(err) }})
	if err != nil {
		b.Fatal(err)
	}
	bulk(b, s, nil, nodes, 100)
	closeStore(b, s)
}

// residentMiB returns the resident memory of this process, 0 where the system does not tell.
func residentMiB(b *testing.B) float64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kib, err := strconv.ParseFloat(fields[0], 64)
	if err != nil {
		b.Fatal(err)
	}
	return kib / 1024
}
