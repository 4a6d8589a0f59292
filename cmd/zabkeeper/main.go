// Command zabkeeper is a coordination service that speaks ZooKeeper's client protocol: one
// binary, one file per subcommand. What the subcommands do lives in the packages that they call.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/zabkeeper/zabkeeper/server/node"
)

func main() {
	root := &cobra.Command{
		Use:           "zabkeeper",
		Short:         "A coordination service for everything that speaks to Apache ZooKeeper",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(serverCommand(), benchCommand(), versionCommand())
	err := root.Execute()
	var reported *reportedError
	if err != nil && !errors.As(err, &reported) {
		fmt.Fprintln(os.Stderr, "zabkeeper:", err)
	}
	os.Exit(node.ExitCode(err))
}

// reportedError is an error that the log has told already.
type reportedError struct{ error }

func (e *reportedError) Unwrap() error { return e.error }
