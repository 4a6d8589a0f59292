//go:build !linux

package network

import "errors"

var errLinux = errors.New("network: hosts of their own are made by Linux alone")

// Net is a network of hosts, which this system cannot make.
type Net struct{ *Fabric }

// New returns an error.
func New(int, uint64) (*Net, error) { return nil, errLinux }

// Enter returns an error.
func Enter() (inside bool, code int, err error) { return false, 0, errLinux }

// Enter returns an error.
func (n *Net) Enter(int) error { return errLinux }
