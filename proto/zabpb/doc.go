// Package zabpb holds the schema (peer.proto) of what the servers of an ensemble say
// to each other, and the Go code that protoc makes of it.
//
// Generated types stop at proto/peerwire: nothing else imports this package, and the
// election and replication cores never see it. Peerwire writes and reads the very same
// bytes by hand, without an allocation per entry; the generated code is the yardstick that its
// tests hold it against, and the reference for anybody who wants to read a capture.
//
// After a change of the schema run go generate, with protoc and protoc-gen-go (the
// version of google.golang.org/protobuf in go.mod) in the PATH, and commit the result.
package zabpb

//go:generate protoc --go_out=. --go_opt=paths=source_relative peer.proto
