// Package bench measures any server that speaks ZooKeeper's client protocol: ZabKeeper,
// Apache ZooKeeper and others alike, so that figures can be compared as ratios of one run.
//
// A load is a number of sessions, each on its own connection with its own goroutine and
// a fixed number of requests in flight: a session writes its window of requests, and then sends one
// new request for each reply that arrives. What one read of the socket brought is answered by
// one write, so that the load itself is cheap and batches the way real pipelining clients do. Latency
// is counted from the write of a request to the decoding of its reply.
//
// The package has its own small client on the codecs of package proto, because a general
// client costs more than the server it would measure.
package bench
