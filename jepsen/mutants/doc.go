// Package mutants holds the tests to account: it lists deliberate bugs, each of which some suite must
// notice.
//
// A mutant is data: a file, a text that occurs in it once, and what stands there instead. Nothing of it
// is in the server. The runner writes the changed file into a temporary directory and has the go tool
// build with it in place of the real one (-overlay), so that the checkout is never touched and
// nobody can forget to undo anything.
//
//	go run ./jepsen/mutants/cmd/mutate list
//	go run ./jepsen/mutants/cmd/mutate run              all of them: make mutants
//	go run ./jepsen/mutants/cmd/mutate run skip-trunc   one
//	go run ./jepsen/mutants/cmd/mutate run -suite sim   what one suite is to kill
//	go run ./jepsen/mutants/cmd/mutate run -also sim    and what else a suite kills
//	go run ./jepsen/mutants/cmd/mutate run -short 6     a few quick ones, as CI does
//
// A mutant is killed by a suite if the go tool builds it and a test of the suite fails by name, or is
// the one that runs when the suite's own time is over. What does not build is no mutant. A suite that
// fails without mutants kills nothing: each is run without them first.
//
// What came of it is kept in results.jsonl, and docs/mutants.md is made of that. A test of this package
// checks at every change of the project that each mutant still applies and builds, that
// each of its killers has killed it as it is now, and that the table is that of the results.
//
// The simulator has mutants of its own, in its driver (jepsen/sim): they are in the table as well.
package mutants
