package conf

import _ "embed" // the built-in configuration

// defaultText is the configuration of a server that was given none.
//
//go:embed default.cfg
var defaultText []byte

// DefaultName is the name under which origins show the built-in configuration.
const DefaultName = "built-in default.cfg"

// Default returns the input for a server without a file: standalone, clients on
// 127.0.0.1:2181, data under dataDir. The caller may add layers before Load.
func Default(dataDir string) Input {
	return Input{
		Name: DefaultName,
		Text: append([]byte(nil), defaultText...),
		CommandLine: []Setting{
			{"dataDir", dataDir, Origin{Name: OriginCommandLine}},
		},
	}
}
