// Package jute reads and writes the primitives of ZooKeeper's record encoding.
//
// Everything is big-endian, without alignment, field tags or record lengths:
//
//	boolean   1 byte    written 00 or 01; any non-zero byte reads as true
//	int       4 bytes   two's complement
//	long      8 bytes   two's complement
//	buffer    int n, then n bytes; n = -1 is null, n = 0 is empty
//	ustring   int n, then n bytes of UTF-8; n = -1 is null
//	vector    int n, then n elements; n = -1 is null, other negatives are empty
//	record    its fields, one after the other
//
// A Cursor reads from a byte slice that somebody else received. It is made for
// hostile input: every length is checked against the bytes that are really there
// before it is used to slice or to allocate. The first error sticks, later
// reads return zero values, so a record decodes as a plain list of reads and its
// caller asks Err once. Bytes left over after a record are nobody's business here;
// the protocol ignores them.
//
// The Append functions write to the end of a slice and return it, like append.
// They allocate only when the slice has to grow.
//
// The package knows primitives alone: which fields make which record is told in
// package proto, and how long a frame may be is the business of the connection.
// It follows spec client-protocol section 1.
package jute
