//go:build !unix

package server

import "errors"

// descriptorLimit returns how many files the process may have open.
func descriptorLimit() (int64, error) { return 0, errors.ErrUnsupported }
