package conf

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/zabkeeper/zabkeeper/quorum"
)

// Input is everything that a configuration is made of.
type Input struct {
	// Name and Text are the main file. An empty text is a file without settings.
	Name string
	Text []byte
	// ReadFile reads the dynamicConfigFile and myid. It returns an error that
	// is fs.ErrNotExist for a file that is not there. Nil: no other file exists.
	ReadFile func(path string) ([]byte, error)
	// Flags are from the environment, CommandLine from the command line; within
	// each the last one wins.
	Flags, CommandLine []Setting
	// Strict refuses unknown keys.
	Strict bool
}

// Load reads and checks a configuration. The error is always an *Error.
func Load(in Input) (*Config, error) {
	main, err := Parse(in.Name, in.Text)
	if err != nil {
		return nil, err
	}
	if in.ReadFile == nil {
		in.ReadFile = func(string) ([]byte, error) { return nil, fs.ErrNotExist }
	}
	c := &Config{
		File: in.Name, MyID: quorum.None, clientPort: -1, securePort: -1,
		MinSessionTimeout: -time.Millisecond, MaxSessionTimeout: -time.Millisecond,
		settings: make(map[string]Setting),
	}
	for _, layer := range [][]Setting{in.Flags, main.Settings, in.CommandLine} {
		if err := c.addLayer(layer, in.Strict); err != nil {
			return nil, err
		}
	}
	if err := c.apply(); err != nil {
		return nil, err
	}
	if err := c.readDynamic(in.ReadFile); err != nil {
		return nil, err
	}
	if err := c.readMyID(in.ReadFile); err != nil {
		return nil, err
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	return c, nil
}

// addLayer puts the settings of one layer over those of the weaker ones.
func (c *Config) addLayer(layer []Setting, strict bool) error {
	seen := make(map[string]Setting)
	for _, s := range layer {
		name, k := resolve(s.Key)
		if k == nil {
			if s.Origin.Line == 0 && s.Origin.Name != OriginCommandLine && !strings.HasPrefix(s.Key, "zookeeper.") {
				continue // a property of somebody else in the environment's flags
			}
			if err := c.unknown(s, name, strict); err != nil {
				return err
			}
		}
		if old, ok := seen[name]; ok && old.Value != s.Value {
			c.note(Warn, s.Origin, fmt.Sprintf("%s overrides the value of %v", printable(name), old.Origin))
		}
		seen[name] = s
		c.settings[name] = Setting{name, s.Value, s.Origin}
	}
	return nil
}

// maxSuggestions bounds the search for near names in a file that is no
// configuration at all.
const maxSuggestions = 100

// unknown reports a key that matches nothing.
func (c *Config) unknown(s Setting, name string, strict bool) error {
	hint := ""
	if len(c.Unknown) < maxSuggestions {
		if near := suggest(name); near != "" {
			hint = "; did you mean " + near + "?"
		}
	}
	if strict {
		return refuse(s, "unknown key%s", hint)
	}
	c.Unknown = append(c.Unknown, s)
	c.note(Warn, s.Origin, "unknown key "+printable(s.Key)+" is ignored"+hint)
	return nil
}

// apply stores every value in its field, defaults where nothing was set, and reports
// what is not acted on.
func (c *Config) apply() error {
	for i := range table {
		k := &table[i]
		s, isSet := c.settings[k.name]
		if !isSet {
			if k.def == "" {
				continue
			}
			s = Setting{k.name, k.def, Origin{Name: OriginDefault}}
			if k.treat == honoured {
				c.settings[k.name] = s
			}
		}
		if k.set == nil {
			continue
		}
		warning, err := k.set(c, s.Value)
		if err != nil {
			return refuse(s, "%v", err)
		}
		if warning != "" {
			c.note(Warn, s.Origin, fmt.Sprintf("%s=%s %s", k.name, printable(s.Value), warning))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.settings)) {
		s := c.settings[name]
		_, k := resolve(name)
		if k == nil || strings.EqualFold(s.Value, k.def) {
			continue
		}
		if level, text, ok := k.treat.notice(); ok {
			c.note(level, s.Origin, printable(name)+" "+text)
		}
	}
	return nil
}

// memberSettings returns the entries server.N, group.N and weight.N, sorted by key.
func (c *Config) memberSettings() []Setting {
	var out []Setting
	for _, name := range slices.Sorted(maps.Keys(c.settings)) {
		if quorum.IsMemberKey(name) {
			out = append(out, c.settings[name])
		}
	}
	return out
}

// readDynamic reads the server list from the file that dynamicConfigFile names (spec
// operations 1.6). The configuration's version is in that file's name.
func (c *Config) readDynamic(readFile func(string) ([]byte, error)) error {
	path := c.DynamicConfigFile
	if path == "" {
		return nil
	}
	if in := c.memberSettings(); len(in) > 0 {
		return refuse(in[0], "parameter: %s must be in a separate dynamic config file", printable(in[0].Key))
	}
	text, err := readFile(path)
	if err != nil {
		return c.refuseKey("dynamicConfigFile", "cannot be read: %v", err)
	}
	file, err := Parse(path, text)
	if err != nil {
		return err
	}
	for _, s := range file.Settings {
		switch {
		case s.Key == "version":
			return refuse(s, "dynamic file shouldn't have version inside")
		case !quorum.IsMemberKey(s.Key):
			return refuse(s, "Unrecognised parameter: %s", printable(s.Key))
		}
		c.settings[s.Key] = s
	}
	c.version = strings.TrimPrefix(filepath.Ext(path), ".")
	if _, err := quorum.ParseVersion(c.version); err != nil {
		c.version = "" // a name without a version
	}
	if next := c.File + ".dynamic.next"; exists(readFile, next) {
		c.note(Warn, Origin{Name: next}, "a proposed configuration is not read: finish the reconfiguration with the servers that wrote it")
	}
	return nil
}

func exists(readFile func(string) ([]byte, error), path string) bool {
	_, err := readFile(path)
	return err == nil
}

// maxMyIDLine bounds what of the myid file is looked at, in bytes.
const maxMyIDLine = 64

// readMyID reads this server's id. A missing file leaves MyID at None.
func (c *Config) readMyID(readFile func(string) ([]byte, error)) error {
	if c.DataDir == "" {
		return nil // refused later, with its own reason
	}
	path := filepath.Join(c.DataDir, "myid")
	text, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &Error{File: path, Reason: fmt.Sprintf("cannot be read: %v", err)}
	}
	line := string(text[:min(len(text), maxMyIDLine)])
	if i := strings.IndexAny(line, "\r\n"); i >= 0 {
		line = line[:i]
	}
	s := Setting{"myid", strings.TrimSpace(line), Origin{path, 1}}
	if s.Value == "" {
		return refuse(s, "the file has no server id in its first line")
	}
	if strings.Trim(s.Value, "+-0123456789") != "" {
		return refuse(s, "serverid %s is not a number", printable(s.Value))
	}
	id, err := quorum.ParseSID(s.Value)
	if err != nil {
		return refuse(s, "%v", err)
	}
	c.MyID = id
	c.settings["myid"] = Setting{"myid", id.String(), s.Origin}
	return nil
}
