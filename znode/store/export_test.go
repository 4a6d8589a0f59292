package store

import (
	"github.com/cespare/xxhash/v2"

	"github.com/zabkeeper/zabkeeper/znode"
)

// What tests of the formats need of the inside.
var (
	AppendNode  = appendNode
	DecodeNode  = decodeNode
	DataLen     = dataLen
	SealChunk   = endChunk
	BeginChunk  = beginChunk
	AppendEntry = appendRecord
	NodeKey     = appendNodeKey
)

// DecodeStream decodes one chunk and everything inside, as Staging.Write does.
func DecodeStream(b []byte) error {
	c, err := decodeChunk(b)
	if err != nil {
		return err
	}
	switch c.kind {
	case chunkHeader:
		_, err := decodeHeader(c.payload)
		return err
	case chunkTrailer:
		return new(trailer).decode(c.payload)
	}
	a := &audit{}
	for len(c.payload) > 0 {
		key, value, err := c.record()
		if err != nil {
			return err
		}
		if err := a.add(key, value); err != nil {
			return err
		}
	}
	return a.finish()
}

// Kinds and layout of chunks.
const (
	KindRecords   = chunkRecords
	ChunkPayload  = chunkFrame + chunkHead
	CompleteFile  = completeFile
	CachePerShard = cacheShards
)

// Cache is the cache of decoded nodes.
type Cache struct{ c *cache }

func NewCache(budget int64) *Cache                     { return &Cache{newCache(budget)} }
func (c *Cache) Get(path string) (*znode.Node, uint64) { return c.c.get(path) }
func (c *Cache) Change(path string, n *znode.Node)     { c.c.change(path, n) }
func (c *Cache) Offer(path string, n *znode.Node, v uint64) {
	c.c.offer(path, &cacheEntry{node: *n}, v)
}
func (c *Cache) Clear()       { c.c.clear() }
func (c *Cache) Bytes() int64 { return c.c.bytes() }

// SealedStream returns a stream whose frames, checksums and trailer are all right for the
// records, which need not be a tree.
func SealedStream(t Totals, count uint64, records []byte) [][]byte {
	tr := trailer{totals: t, records: count, hash: xxhash.Sum64(records)}
	stream := [][]byte{
		appendHeader(beginChunk(nil, chunkHeader, 0), t.At),
		append(beginChunk(nil, chunkRecords, 1), records...),
		tr.append(beginChunk(nil, chunkTrailer, 2)),
	}
	for _, b := range stream {
		endChunk(b)
	}
	return stream
}
