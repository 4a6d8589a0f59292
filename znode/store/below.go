package store

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/zabkeeper/zabkeeper/znode"
)

// pollEvery is the number of keys after which count looks at whether it is still wanted.
const pollEvery = 1024

// Below begins to count the nodes below path, in the state of this moment; that costs no more than
// opening an iterator. The caller must then call count, once and before the Store is closed: it
// walks over the keys, one depth after the other until one has none, and reads no values. It
// may be slow, and goes on beside installs and replacements. If stop is closed meanwhile it
// ends early with a number that means nothing.
func (s *Store) Below(path string) (count func(stop <-chan struct{}) int) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{colNode}, UpperBound: []byte{colNode + 1}})
	if err != nil {
		panic(s.fault("count below "+path, err))
	}
	return func(stop <-chan struct{}) int {
		n := countKeys(it, path, stop)
		if err := errors.Join(it.Error(), it.Close()); err != nil {
			panic(s.fault("count below "+path, err))
		}
		return n
	}
}

func countKeys(it *pebble.Iterator, path string, stop <-chan struct{}) (n int) {
	prefix := appendChildPrefix(make([]byte, 0, keyScratch), path)
	for depth := depthOf(path) + 1; depth <= znode.MaxDepth; depth++ {
		setDepth(prefix, depth)
		upper := append([]byte(nil), prefix...)
		successor(upper) // there is one: the column's number is not 0xff
		it.SetBounds(prefix, upper)
		before := n
		for ok := it.First(); ok; ok = it.Next() {
			if n++; n%pollEvery == 0 && closed(stop) {
				return n
			}
		}
		if n == before {
			break
		}
	}
	return n
}

func closed(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}
