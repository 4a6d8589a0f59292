package node

import (
	"errors"

	"github.com/zabkeeper/zabkeeper/conf"
	"github.com/zabkeeper/zabkeeper/quorum/transport"
	"github.com/zabkeeper/zabkeeper/server"
)

// Process exit codes, ZooKeeper's where it has one (spec operations 1.8).
const (
	ExitUnexpected = 1
	ExitConfig     = conf.ExitCode
	ExitDataDir    = 3
	ExitStore      = 10
	ExitPortBind   = 14
)

// ErrDataDir is wrapped by errors about the data directories: missing, unreadable, another
// server's, damaged, full.
var ErrDataDir = errors.New("data directory cannot be used")

// ErrStore is wrapped by errors about a store that failed while the server ran, and by those about
// a disk that is too full to go on.
var ErrStore = errors.New("the server cannot go on with its disk")

// ErrClientPort is wrapped when the client port cannot be bound.
var ErrClientPort = errors.New("client port cannot be bound")

// ErrTLS is wrapped when keys and certificates for clients cannot be used.
var ErrTLS = errors.New("TLS for clients cannot be set up")

// ErrAuth is wrapped when the users that clients may log in as cannot be known.
var ErrAuth = errors.New("authentication of clients cannot be set up")

// ExitCode returns the status for a process that ends with err.
func ExitCode(err error) int {
	var bad *conf.Error
	var bind *transport.BindError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &bad), errors.Is(err, ErrTLS), errors.Is(err, ErrAuth):
		return ExitConfig
	case errors.Is(err, ErrDataDir):
		return ExitDataDir
	case errors.Is(err, ErrStore), errors.Is(err, server.ErrDiverged):
		return ExitStore
	case errors.As(err, &bind):
		return ExitPortBind
	}
	return ExitUnexpected
}
