// Package fourletter writes the answers to ZooKeeper's four-letter words: the commands that
// operators, probes and exporters send as the first four bytes of a connection.
//
// It is text and nothing else. Word recognises a command, Answer renders it from a Report
// that somebody filled in; both are pure. The formats are those of ZooKeeper 3.9 down
// to the missing newlines, because programs parse them (spec operations 2): ruok, isro, srvr, stat,
// mntr and conf. The other words of ZooKeeper are recognised, so that they are not
// mistaken for the length of a frame, and refused like a word that the whitelist
// lacks.
//
// The version line keeps the date form that go-zookeeper's parser insists on; everybody
// else reads the line only up to the comma.
package fourletter
