//go:build invariants

package zab

// invariants makes every role check itself after every step.
const invariants = true
