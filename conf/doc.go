// Package conf reads a server's configuration: zoo.cfg as operators of ZooKeeper
// write it, the files it points to, and the flags that images and harnesses pass in
// the environment.
//
// It is driven in one call:
//
//	cfg, err := conf.Load(conf.Input{
//		Name: path, Text: text,           // the file, already read
//		ReadFile: os.ReadFile,            // for dynamicConfigFile and myid
//		Flags: flags,                     // from FromEnvironment
//		CommandLine: settings,            // from the command line
//	})
//
// The layers, weakest first: the default of the table in keys.go, environment
// flags, the file, the command line. A key may be spelled as in the file (tickTime), as
// the Java property (zookeeper.tickTime), by its documented alias, or by the raw name
// where the original takes it only as a -D flag (jute.maxbuffer); all mean the
// same, from every layer (spec operations 1.1).
//
// What it promises:
//
//   - An impossible value is refused with an *Error that names file, line, key, value
//     and reason. The process should then exit with ExitCode.
//   - Nothing else is: an unknown key is kept (Config.Unknown) and reported with the
//     nearest known name, a known key that this server does not act on is reported
//     according to what ignoring it means. Reports are data (Config.Notices); the caller
//     logs them. Input.Strict turns unknown keys into errors.
//   - Every setting's effective value and origin can be listed (Config.Effective), with
//     secrets blanked.
//
// Milliseconds of the file become time.Duration here, and limits in ticks can be
// had in the ticks of the protocol machines (Config.RoleTick, Ticks), so that no other
// package converts time.
//
// The package is pure: it opens no file (Input.ReadFile is the caller's), reads no
// environment (FromEnvironment is given one), resolves no name and logs nothing. The grammar of
// server entries is package quorum's.
//
// Beside the code lie the files that operators copy: zoo_sample.cfg for one server,
// ensemble/ for three on one machine.
package conf
