// Package zxid holds the numbers that order history: the 64-bit transaction
// id (zxid), made of a 32-bit epoch and a 32-bit counter, and the Point, a zxid
// together with the running hash of everything up to it.
//
//	63            32 31             0
//	+---------------+---------------+
//	|     epoch     |    counter    |
//	+---------------+---------------+
//
// Zxids compare as signed 64-bit numbers, as in Apache ZooKeeper; epochs that
// would make one negative are refused (MaxEpoch). (epoch, 0) is never a
// transaction: it names the NEWLEADER point of the epoch. The first proposal of
// an epoch has counter 1; inside an epoch the counter has no holes; between
// epochs it jumps. See spec zab-and-election, "Identifiers and persistent state".
package zxid
