//go:build !unix

package node

// isReadOnly cannot tell here.
func isReadOnly(error) bool { return false }
