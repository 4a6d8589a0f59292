package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// build is what the binary knows about its making.
type build struct {
	revision string // 40 hex digits, zeroes when unknown
	built    time.Time
	modified bool
}

func thisBuild() build {
	b := build{revision: strings.Repeat("0", 40), built: time.Unix(0, 0).UTC()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			if len(s.Value) == 40 {
				b.revision = s.Value
			}
		case "vcs.time":
			if t, err := time.Parse(time.RFC3339, s.Value); err == nil {
				b.built = t.UTC()
			}
		case "vcs.modified":
			b.modified = s.Value == "true"
		}
	}
	return b
}

// versionText is what the command and the flag print after the program's name.
func versionText() string {
	b := thisBuild()
	suffix := ""
	if b.modified {
		suffix = " (modified)"
	}
	return fmt.Sprintf("%s%s, %s, protocol of ZooKeeper 3.9.5", b.revision, suffix, runtime.Version())
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print what this binary was built from",
		Args:  cobra.NoArgs,
		Run: func(c *cobra.Command, _ []string) {
			fmt.Fprintln(c.OutOrStdout(), "zabkeeper", versionText())
		},
	}
}
