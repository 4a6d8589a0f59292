// Command zabkeeper is a coordination service that speaks ZooKeeper's client protocol: one
// binary, one file per subcommand. What the subcommands do lives in the packages that they call.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zabkeeper/zabkeeper/server/node"
)

func main() {
	root := &cobra.Command{
		Use:           "zabkeeper",
		Short:         "A coordination service for everything that speaks to Apache ZooKeeper",
		Version:       versionText(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.AddCommand(serverCommand(), benchCommand(), versionCommand())
	invoked := false // arguments and flags were in order
	root.PersistentPreRun = func(*cobra.Command, []string) { invoked = true }
	err := root.Execute()
	var reported *reportedError
	if err != nil && !errors.As(err, &reported) {
		fmt.Fprintln(os.Stderr, "zabkeeper:", strings.Join(strings.Fields(err.Error()), " "))
	}
	var wrong *invocationError
	if err != nil && !invoked || errors.As(err, &wrong) {
		os.Exit(node.ExitConfig)
	}
	os.Exit(node.ExitCode(err))
}

// invocationError is an error in the value of an argument or flag.
type invocationError struct{ error }

// reportedError is an error that the log has told already.
type reportedError struct{ error }

func (e *reportedError) Unwrap() error { return e.error }
