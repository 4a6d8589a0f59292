package conf

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/zabkeeper/zabkeeper/quorum"
)

// validate checks the settings against each other, in the original's order, and
// fills in what follows from others.
func (c *Config) validate() error {
	for _, step := range [...]func() error{
		c.checkGuards, c.checkDirs, c.checkClientPort, c.checkSecurePort, c.checkAuth, c.checkTimeouts, c.buildEnsemble,
		c.chooseMode, c.checkSelf, c.checkExtendedTypes, c.settleClient, c.checkPorts, c.checkQuorumMode,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	c.checkDangers()
	return nil
}

// checkGuards refuses combinations that make no sense and protections whose silent
// absence would be worse than no server (spec operations 6.1).
func (c *Config) checkGuards() error {
	on := func(key string) bool { return strings.EqualFold(c.settings[key].Value, "true") }
	const enable, server, learner = "quorum.auth.enableSasl", "quorum.auth.serverRequireSasl", "quorum.auth.learnerRequireSasl"
	for _, key := range [...]string{server, learner} {
		if on(key) && !on(enable) {
			return c.refuseKey(key, "%s is disabled, so cannot enable %s", enable, key)
		}
	}
	if on(server) && !on(learner) {
		return c.refuseKey(server, "%s is disabled, so cannot enable %s", learner, server)
	}
	if c.LinearizableReads && c.ReadOnlyMode {
		return c.refuseKey("linearizableReads", "a server without a quorum cannot answer linearizable reads: switch readonlymode.enabled off")
	}
	for _, key := range [...]string{"ssl.crl", "ssl.ocsp", "ssl.quorum.crl", "ssl.quorum.ocsp"} {
		if on(key) {
			return c.refuseKey(key, "certificate revocation is not supported, and leaving it out silently would be unsafe")
		}
	}
	return nil
}

func (c *Config) checkDirs() error {
	if c.DataDir == "" {
		return c.refuseKey("dataDir", "dataDir is not set")
	}
	if c.DataLogDir == "" {
		c.DataLogDir = c.DataDir
	}
	c.derive("dataLogDir", c.DataLogDir)
	if second := c.DataLogDirSecondary; second != "" && filepath.Clean(second) == filepath.Clean(c.DataLogDir) {
		return c.refuseKey("dataLogDirSecondary", "is dataLogDir itself; it must be a directory on another disk")
	}
	for _, key := range [...]string{"dataDir", "dataLogDir", "dataLogDirSecondary"} {
		s := c.settings[key]
		if s.Value != "" && s.Origin.Name != OriginDefault && !filepath.IsAbs(s.Value) && !strings.HasPrefix(s.Value, "./") && s.Value != "." {
			c.note(Warn, s.Origin, printable(s.Value)+" is relative. Prepend ./ to indicate that you're sure!")
		}
	}
	return nil
}

func (c *Config) checkClientPort() error {
	if c.clientPort < 0 {
		if c.clientAddress != "" {
			return c.refuseKey("clientPortAddress", "clientPortAddress is set but clientPort is not set")
		}
		return nil
	}
	host, err := c.listenHost("clientPortAddress", c.clientAddress)
	if err != nil {
		return err
	}
	c.Client = &quorum.Address{Host: host, Port: c.clientPort}
	return nil
}

// checkSecurePort needs a certificate for TLS.
func (c *Config) checkSecurePort() error {
	if c.securePort < 0 {
		if c.secureAddress != "" {
			return c.refuseKey("secureClientPortAddress", "secureClientPortAddress is set but secureClientPort is not set")
		}
		if !c.PortUnification {
			return nil
		}
	}
	if c.TLS.KeyStore.Location == "" {
		key := "secureClientPort"
		if c.securePort < 0 {
			key = "client.portUnification"
		}
		return c.refuseKey(key, "TLS needs a certificate: ssl.keyStore.location is not set")
	}
	if c.TLS.ClientAuth != ClientAuthNone && c.TLS.TrustStore.Location == "" {
		return c.refuseKey("ssl.trustStore.location", "certificates of clients cannot be checked: set ssl.trustStore.location, or ssl.clientAuth=none")
	}
	c.TLS.MaxHandshakes = max(c.TLS.MaxHandshakes, 0)
	if c.securePort < 0 {
		return nil
	}
	host, err := c.listenHost("secureClientPortAddress", c.secureAddress)
	if err != nil {
		return err
	}
	c.SecureClient = &quorum.Address{Host: host, Port: c.securePort}
	return nil
}

// listenHost reads an address to listen at; unset, it is every one.
func (c *Config) listenHost(key, address string) (string, error) {
	host := strings.TrimSuffix(strings.TrimPrefix(address, "["), "]")
	if host == "" {
		host = "0.0.0.0"
	}
	if strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || strings.ContainsRune("[]/;|,", r) }) {
		return "", c.refuseKey(key, "is not a host name or address")
	}
	return host, nil
}

func (c *Config) checkTimeouts() error {
	if c.MinSessionTimeout < 0 {
		c.MinSessionTimeout = 2 * c.TickTime
		c.deriveMillis("minSessionTimeout", c.MinSessionTimeout)
	}
	if c.MaxSessionTimeout < 0 {
		c.MaxSessionTimeout = 20 * c.TickTime
		c.deriveMillis("maxSessionTimeout", c.MaxSessionTimeout)
	}
	if c.MinSessionTimeout > c.MaxSessionTimeout {
		key := "minSessionTimeout"
		if c.settings[key].Origin.Name == OriginDefault {
			key = "maxSessionTimeout"
		}
		return c.refuseKey(key, "minSessionTimeout must not be larger than maxSessionTimeout (%d and %d ms)",
			c.MinSessionTimeout.Milliseconds(), c.MaxSessionTimeout.Milliseconds())
	}
	if c.MinNotifyInterval > c.MaxNotifyInterval {
		return c.refuseKey("fastleader.minNotificationInterval",
			"must not be larger than fastleader.maxNotificationInterval (%d ms)", c.MaxNotifyInterval.Milliseconds())
	}
	if c.ConnectLimit == 0 {
		c.ConnectLimit = c.InitLimit
	}
	return nil
}

// deriveMillis records a derived duration; an explicit -1 stands for the default too.
func (c *Config) deriveMillis(key string, d time.Duration) {
	c.settings[key] = Setting{key, strconv.FormatInt(d.Milliseconds(), 10), Origin{Name: OriginDefault}}
}

// buildEnsemble reads the server list, if there is one.
func (c *Config) buildEnsemble() error {
	var b quorum.Builder
	for _, s := range c.memberSettings() {
		if !c.MultiAddress && strings.HasPrefix(s.Key, "server.") {
			if m, err := quorum.ParseMember(0, s.Value); err == nil && len(m.Quorum) > 1 {
				return refuse(s, "Multiple address feature is disabled, but multiple addresses were specified for sid %s",
					strings.TrimPrefix(s.Key, "server."))
			}
		}
		if err := b.Set(s.Key, s.Value); err != nil {
			return refuse(s, "%v", err)
		}
	}
	if b.Empty() {
		return nil
	}
	version, err := quorum.ParseVersion(cmp.Or(c.version, "0"))
	if err != nil {
		return c.refuseKey("version", "%v", err)
	}
	e, err := b.Build(version)
	if err != nil {
		return &Error{File: c.listFile(), Reason: err.Error()}
	}
	c.Ensemble = e
	for _, m := range e.Members() {
		key := "server." + m.SID.String()
		if s, ok := c.settings[key]; ok {
			c.settings[key] = Setting{key, m.String(), s.Origin}
		}
	}
	for sid := range b.NotCounted().All() {
		c.note(Warn, Origin{Name: c.listFile()},
			fmt.Sprintf("server.%v is an observer: its group and weight are left out of the quorum", sid))
	}
	return nil
}

// listFile names the file that holds the server list.
func (c *Config) listFile() string {
	if c.DynamicConfigFile != "" {
		return c.DynamicConfigFile
	}
	return c.File
}

// chooseMode decides between a standalone server and a member of an ensemble by the
// number of participants (spec operations 1.5).
func (c *Config) chooseMode() error {
	var voters, observers int
	if c.Ensemble != nil {
		voters, observers = c.Ensemble.Voters().Len(), c.Ensemble.Observers().Len()
	}
	list := Origin{Name: c.listFile()}
	c.Standalone = c.StandaloneEnabled && voters <= 1
	switch {
	case voters == 0 && !c.StandaloneEnabled:
		return c.refuseKey("standaloneEnabled", "standaloneEnabled = false then number of participants should be >0")
	case voters == 0 && observers > 0:
		return &Error{File: list.Name, Reason: "Observers w/o participants is an invalid configuration"}
	case c.Standalone && observers > 0:
		return &Error{File: list.Name, Reason: "Observers w/o quorum is an invalid configuration"}
	case c.Standalone && voters == 1:
		c.note(Info, list, "only one server specified: running standalone")
	case c.Standalone:
	case voters <= 2:
		c.note(Warn, list, "No server failure will be tolerated. You need at least 3 servers.")
	case voters%2 == 0:
		c.note(Warn, list, "Non-optimal configuration, consider an odd number of servers.")
	}
	return nil
}

// checkSelf finds this server in the list.
func (c *Config) checkSelf() error {
	c.Role = c.peerType
	if !c.Standalone && c.MyID == quorum.None {
		return &Error{File: filepath.Join(c.DataDir, "myid"), Key: "myid", Reason: "myid file is missing; write into it the number N of the line server.N that is this server's"}
	}
	self, ok := c.Self()
	if !ok {
		if !c.Standalone {
			return c.refuseKey("myid", "My id %v not in the peer list; there is no server.%v", c.MyID, c.MyID)
		}
		return nil
	}
	if self.Role != c.peerType {
		c.note(Warn, c.origin("peerType"),
			fmt.Sprintf("Peer type from servers list (%s) doesn't match peerType (%s). Defaulting to servers list.",
				strings.ToUpper(self.Role.String()), strings.ToUpper(c.peerType.String())))
	}
	c.Role = self.Role
	return nil
}

// maxExtendedSID is the highest server id beside which nodes with a time to live can exist: the
// top byte 0xff of an owner word marks them (spec client-protocol 4.3).
const maxExtendedSID = 254

// checkExtendedTypes keeps session ids and the marks of nodes with a time to live apart. They are
// on by default, so only somebody who asked for them is refused.
func (c *Config) checkExtendedTypes() error {
	if !c.ExtendedTypes || c.MyID == quorum.None || c.MyID <= maxExtendedSID {
		return nil
	}
	const key = "extendedTypesEnabled"
	if c.settings[key].Origin.Name != OriginDefault {
		return c.refuseKey(key, "extendedTypesEnabled needs server ids up to %d, this server is %v", maxExtendedSID, c.MyID)
	}
	c.ExtendedTypes = false
	c.settings[key] = Setting{key, "false", Origin{Name: OriginDefault}}
	c.note(Warn, c.origin("myid"), fmt.Sprintf("there are no nodes with a time to live: the server id is above %d", maxExtendedSID))
	return nil
}

// settleClient joins the static client address with the one of the list, which may
// say it too but must not say another.
func (c *Config) settleClient() error {
	self, ok := c.Self()
	if !ok && c.Standalone && c.MyID == quorum.None && c.Ensemble != nil {
		self, ok = c.Ensemble.Members()[0], true // the only server there is
	}
	if ok && self.Client != nil {
		if s := c.Client; s != nil && s.Port != self.Client.Port || s != nil && !isWildcard(s.Host) && s.Host != self.Client.Host {
			return c.refuseKey("clientPort", "client address for this server (id = %v) in static config file is %v"+
				" is different from client address found in dynamic file: %v", self.SID, s, self.Client)
		}
		client := *self.Client
		c.Client = &client
		c.derive("clientPort", strconv.Itoa(client.Port))
		c.derive("clientPortAddress", client.Host)
	}
	if c.Client != nil {
		return nil
	}
	if c.SecureClient != nil {
		return nil
	}
	if c.Standalone {
		return c.refuseKey("clientPort", "clientPort is not set")
	}
	c.note(Warn, c.origin("clientPort"), "clientPort is not set: this server serves no clients")
	return nil
}

func isWildcard(host string) bool { return host == "0.0.0.0" || host == "::" || host == "*" }

// checkPorts refuses a client port that collides with the server's own peer ports.
func (c *Config) checkPorts() error {
	self, ok := c.Self()
	if !ok || c.Client == nil || c.Standalone {
		return nil
	}
	for _, hp := range self.Quorum {
		if !isWildcard(c.Client.Host) && !c.QuorumListenOnAllIPs && c.Client.Host != hp.Host {
			continue
		}
		for _, p := range [...]struct {
			port int
			what string
		}{{hp.QuorumPort, "quorum"}, {hp.ElectionPort, "election"}} {
			if p.port == c.Client.Port {
				key := "clientPort"
				if c.clientPort < 0 {
					key = "server." + self.SID.String()
				}
				return c.refuseKey(key, "client port %d is also the %s port of server.%v", p.port, p.what, self.SID)
			}
		}
	}
	return nil
}

func (c *Config) checkQuorumMode() error {
	if c.Standalone {
		return nil
	}
	if c.InitLimit == 0 {
		return c.refuseKey("initLimit", "initLimit is not set")
	}
	if c.SyncLimit == 0 {
		return c.refuseKey("syncLimit", "syncLimit is not set")
	}
	return nil
}

// checkDangers warns of settings that trade safety away, and takes back the one
// that a voter must not have: it may never acknowledge before its disk did.
func (c *Config) checkDangers() {
	if !c.ForceSync {
		origin := c.origin("forceSync")
		if c.Standalone {
			c.note(Warn, origin, "forceSync=no: a crash of this machine LOSES acknowledged writes")
		} else {
			c.ForceSync = true
			c.settings["forceSync"] = Setting{"forceSync", "yes", Origin{Name: OriginDefault}}
			c.note(Warn, origin, "forceSync=no is not honoured in an ensemble: every write is synced before it is acknowledged")
		}
	}
	if c.AcceptOlderCopies {
		c.note(Warn, c.origin("acceptOlderCopies"), "acceptOlderCopies=yes: servers that have lost what they acknowledged count; it is for one start after backups were restored")
	}
	if c.SkipACL {
		c.note(Warn, c.origin("skipACL"), "skipACL=yes: every client may do everything")
	}
}
