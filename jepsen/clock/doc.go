// Package clock turns the wall clock of one process, and of no other.
//
// A Go program asks for the time without entering the kernel, by the function that the kernel has
// mapped into it (vDSO). No preloaded library can stand in between, and a time namespace shifts only
// the clocks that nobody sets. So the function itself is replaced, in the copy of the page that the
// process gets by being written to: by one that asks the kernel and adds an offset to the answer, if
// it was asked for the wall clock (CLOCK_REALTIME). The monotonic clock stays as it is, as it does
// when an administrator sets a clock.
//
// Only Linux on amd64, and processes that the caller may trace, such as its own children.
package clock
