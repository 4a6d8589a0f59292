//go:build !linux

package disk

import (
	"errors"
	"time"
)

var errLinux = errors.New("disk: only on Linux")

// Syncs decides what becomes of the syncs of servers, which it cannot do here.
type Syncs struct{}

// Slow does nothing.
func (s *Syncs) Slow(int, time.Duration) {}

// Fail does nothing.
func (s *Syncs) Fail(int) {}

// Met returns 0.
func (s *Syncs) Met(int) int { return 0 }

// Heal does nothing.
func (s *Syncs) Heal(int) {}

// Thread returns an error.
func (s *Syncs) Thread(int) error { return errLinux }

// Mount returns an error.
func Mount(string, int64) error { return errLinux }

// Unmount returns an error.
func Unmount(string) error { return errLinux }

// Fill returns an error.
func Fill(string) error { return errLinux }

// Drain does nothing.
func Drain(string) error { return nil }
