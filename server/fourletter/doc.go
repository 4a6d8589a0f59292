// Package fourletter writes the answers to ZooKeeper's four-letter words: the commands that
// operators, probes and exporters send as the first four bytes of a connection.
//
// It is text and nothing else. Word recognises a command, and Answer writes what it asks for from
// a Source, the server. The formats are those of ZooKeeper 3.9 down to the missing newlines, because
// programs parse them (spec operations 2). What ZooKeeper lists in the order of its hash tables
// has an order here. Answers that can be long go out as they are made.
//
// The version line keeps the date form that go-zookeeper's parser insists on; everybody
// else reads the line only up to the comma.
package fourletter
