package conf

import (
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/zabkeeper/zabkeeper/quorum"
)

// Bounds that keep every product of limits and tick times inside a time.Duration.
const (
	maxTickTime = 3_600_000 // milliseconds
	maxLimit    = 1_000_000 // ticks
	maxCacheMb  = 1 << 20   // MiB

	maxScrubHours = 366 * 24
)

// table holds every key that is known, in the order of spec operations 1.2 to 1.4.
var table = slices.Concat(
	parserKeys(), storageKeys(), clientKeys(), treeKeys(), throttleKeys(), authKeys(), clientTLSKeys(), quorumKeys(),
	kept(inert, "preAllocSize=65536", "intBufferStartingSizeBytes=1024", "leader.ackLoggingFrequency=1000",
		"leader.closeSocketAsync=false", "learner.closeSocketAsync=false", "learner.asyncSending=false",
		"closeSocketAsync=false", "asyncSending=false", "ackLoggingFrequency=1000",
		"forward_learner_requests_to_commit_processor_disabled=false", "follower.skipLearnerRequestToNextProcessor=false",
		"serverCnxnFactory", "nio.numSelectorThreads", "nio.numWorkerThreads", "nio.directBufferBytes=65536",
		"nio.shutdownTimeout=5000", "netty.advancedFlowControl.enabled=false", "advancedFlowControlEnabled=false",
		"commitProcessor.numWorkerThreads", "commitProcessor.maxReadBatchSize=-1", "commitProcessor.maxCommitBatchSize=1",
		"commitProcessor.shutdownTimeout=5000", "watchManagerName", "watcherCleanThreadsNum=2", "watcherCleanThreshold=1000",
		"watcherCleanIntervalInSeconds=600", "maxInProcessingDeadWatchers=-1", "bitHashCacheSize=10",
		"quorum.cnxn.threads.size=20", "requireKerberosConfig", "networkaddress.cache.ttl", "sun.security.krb5.debug",
		"leader.nodelay=true", "follower.nodelay=true", "fips-mode=true", "client.certReload=true", "ssl.sslProvider", "request_throttler.shutdownTimeout=10000"),
	stale(),
	kept(noEffect, "forceSnapshotSync=false", "testingonly.initialZxid", "test.allowDiscontinuousProposals=false",
		"kinit", "audit.impl.class", "jmx.log4j.disable", "jmx.log4j.mbean", "controllerPort", "sun.security.jgss.native",
		"ssl.context.supplier.class"),
	pendingKeys(),
)

// families are prefixes of which any continuation is known.
var families = []struct {
	prefix string
	treat  treatment
}{
	{"metricsProvider.", pending},
	{"pathStats.", pending},
	{"ssl.quorum.", pending},
	{"authProvider.", honoured},
	{"superUser.", honoured},
	{"jdk.tls.", noEffect},
	{"javax.net.ssl.", noEffect},
	{"com.sun.management.jmxremote", noEffect},
	{"java.net.", inert},
}

// index maps every spelling to its place in table.
var index = func() map[string]int {
	m := make(map[string]int)
	for i, k := range table {
		for _, name := range append([]string{k.name}, k.aliases...) {
			if _, taken := m[name]; taken {
				panic("conf: the key " + name + " is in the table twice")
			}
			m[name] = i
		}
	}
	return m
}()

// parserKeys are those of the original's own parser, spec operations 1.2.
func parserKeys() []key {
	return []key{
		text("dataDir", func(c *Config) *string { return &c.DataDir }),
		text("dataLogDir", func(c *Config) *string { return &c.DataLogDir }),
		text("dataLogDirSecondary", func(c *Config) *string { return &c.DataLogDirSecondary }),
		number("clientPort", "", 0, 65535, func(c *Config) *int { return &c.clientPort }),
		text("clientPortAddress", func(c *Config) *string { return &c.clientAddress }),
		number("secureClientPort", "", 0, 65535, func(c *Config) *int { return &c.securePort }),
		text("secureClientPortAddress", func(c *Config) *string { return &c.secureAddress }),
		strict("localSessionsEnabled", "false", func(c *Config) *bool { return &c.LocalSessions }),
		strict("localSessionsUpgradingEnabled", "false", func(c *Config) *bool { return &c.LocalSessionsUpgrading }),
		number("clientPortListenBacklog", "-1", -1, math.MaxInt32, func(c *Config) *int { return &c.ListenBacklog }).yet(),
		{name: "tickTime", def: "3000", set: setTickTime},
		limit("maxClientCnxns", "60", func(c *Config) *int { return &c.MaxClientCnxns }),
		{name: "minSessionTimeout", set: sessionTimeout(func(c *Config) *time.Duration { return &c.MinSessionTimeout })},
		{name: "maxSessionTimeout", set: sessionTimeout(func(c *Config) *time.Duration { return &c.MaxSessionTimeout })},
		number("initLimit", "", 0, maxLimit, func(c *Config) *int { return &c.InitLimit }),
		number("syncLimit", "", 0, maxLimit, func(c *Config) *int { return &c.SyncLimit }),
		number("connectToLearnerMasterLimit", "0", 0, maxLimit, func(c *Config) *int { return &c.ConnectLimit }).yet(),
		{name: "electionAlg", def: "3", set: func(_ *Config, v string) (string, error) {
			if v != "3" {
				return "", errors.New("Invalid electionAlg value. Only 3 is supported.") //nolint:staticcheck // upstream's text
			}
			return "", nil
		}},
		strict("quorumListenOnAllIPs", "false", func(c *Config) *bool { return &c.QuorumListenOnAllIPs }),
		{name: "peerType", def: "participant", set: func(c *Config, v string) (_ string, err error) {
			c.peerType, err = quorum.ParseRole(v)
			return "", err
		}},
		text("dynamicConfigFile", func(c *Config) *string { return &c.DynamicConfigFile }),
		strict("standaloneEnabled", "true", func(c *Config) *bool { return &c.StandaloneEnabled }),
		strict("reconfigEnabled", "false", func(c *Config) *bool { return &c.ReconfigEnabled }),
		strict("multiAddress.enabled", "false", func(c *Config) *bool { return &c.MultiAddress }),
		{name: "version", set: func(c *Config, v string) (string, error) {
			_, err := quorum.ParseVersion(v)
			c.version = v
			return "", err
		}},
	}
}

func storageKeys() []key {
	return []key{
		number("snapCount", "100000", 2, math.MaxInt32, func(c *Config) *int { return &c.SnapCount }),
		number("commitLogCount", "500", 1, math.MaxInt32, func(c *Config) *int { return &c.CommitLogCount }),
		number("nodeCacheSizeMb", "16", 0, maxCacheMb, func(c *Config) *int { return &c.NodeCacheMb }),
		number("blockCacheSizeMb", "16", 1, maxCacheMb, func(c *Config) *int { return &c.BlockCacheMb }),
		number("diskReserveMb", "256", 0, maxCacheMb, func(c *Config) *int { return &c.DiskReserveMb }),
		number("diskBallastMb", "64", 0, maxCacheMb, func(c *Config) *int { return &c.DiskBallastMb }),
		hours("scrubIntervalHours", "24", maxScrubHours, func(c *Config) *time.Duration { return &c.ScrubInterval }),
		number("scrubMbPerSecond", "8", 1, maxCacheMb, func(c *Config) *int { return &c.ScrubMbPerSecond }),
		yesNo("acceptOlderCopies", "no", func(c *Config) *bool { return &c.AcceptOlderCopies }),
		yesNo("forceSync", "yes", func(c *Config) *bool { return &c.ForceSync }),
		millis("fsync.warningthresholdms", "1000", 0, func(c *Config) *time.Duration { return &c.FsyncWarning }).yet(),
		loose("datadir.autocreate", "true", func(c *Config) *bool { return &c.DataDirAutocreate }),
		loose("db.autocreate", "true", func(c *Config) *bool { return &c.DBAutocreate }),
	}
}

func clientKeys() []key {
	return []key{
		number("jute.maxbuffer", "1048575", 1, math.MaxInt32, func(c *Config) *int { return &c.JuteMaxBuffer }),
		number("globalOutstandingLimit", "1000", 1, math.MaxInt32, func(c *Config) *int { return &c.GlobalOutstandingLimit }),
		limit("maxCnxns", "0", func(c *Config) *int { return &c.MaxCnxns }),
		millis("nio.sessionlessCnxnTimeout", "10000", 1, func(c *Config) *time.Duration { return &c.SessionlessTimeout }),
		loose("clientTcpKeepAlive", "true", func(c *Config) *bool { return &c.ClientTCPKeepAlive }),
		words("4lw.commands.whitelist", "ruok,srvr,stat,mntr,conf,isro,dirs", func(c *Config) *[]string { return &c.FourLetterWhitelist }),
		loose("readonlymode.enabled", "false", func(c *Config) *bool { return &c.ReadOnlyMode }),
		yesNo("skipACL", "no", func(c *Config) *bool { return &c.SkipACL }),
		loose("enableEagerACLCheck", "false", func(c *Config) *bool { return &c.EagerACLCheck }),
		loose("client.portUnification", "false", func(c *Config) *bool { return &c.PortUnification }),
	}
}

// treeKeys are about kinds of nodes and quotas.
func treeKeys() []key {
	return []key{
		loose("extendedTypesEnabled", "true", func(c *Config) *bool { return &c.ExtendedTypes }),
		loose("enforceQuota", "false", func(c *Config) *bool { return &c.EnforceQuota }),
		loose("digest.enabled", "true", func(c *Config) *bool { return &c.Digest }),
		strict("linearizableReads", "false", func(c *Config) *bool { return &c.LinearizableReads }),
		millis("znode.container.checkIntervalMs", "60000", 1, func(c *Config) *time.Duration { return &c.ContainerInterval }),
		number("znode.container.maxPerMinute", "10000", 1, math.MaxInt32, func(c *Config) *int { return &c.ContainersPerMinute }),
		millis("znode.container.maxNeverUsedIntervalMs", "0", 0, func(c *Config) *time.Duration { return &c.ContainerNeverUsed }),
	}
}

func quorumKeys() []key {
	return []key{
		yesNo("leaderServes", "yes", func(c *Config) *bool { return &c.LeaderServes }),
		millis("cnxTimeout", "5000", 1, func(c *Config) *time.Duration { return &c.CnxTimeout }),
		number("electionPortBindRetry", "3", 0, math.MaxInt32, func(c *Config) *int { return &c.ElectionPortBindRetry }),
		loose("tcpKeepAlive", "true", func(c *Config) *bool { return &c.QuorumTCPKeepAlive }).yet(),
		millis("fastleader.minNotificationInterval", "200", 1, func(c *Config) *time.Duration { return &c.MinNotifyInterval }),
		millis("fastleader.maxNotificationInterval", "60000", 1, func(c *Config) *time.Duration { return &c.MaxNotifyInterval }),
		millis("observer.election.DelayMs", "200", 0, func(c *Config) *time.Duration { return &c.ObserverElectionDelay }).yet(),
		millis("observer.reconnectDelayMs", "0", 0, func(c *Config) *time.Duration { return &c.ObserverReconnectDelay }).yet(),
	}
}

// stale keys tune a queue in front of the pipeline, where ZooKeeper's throttled requests wait. Here
// they wait in their connections, are let in the moment there is room, and end with them.
func stale() []key {
	return []key{
		key{name: "request_throttle_stall_time", def: "100", treat: inert}.alias("requestThrottleStallTime"),
		key{name: "request_throttle_drop_stale", def: "true", treat: inert}.alias("requestThrottleDropStale"),
		key{name: "request_stale_connection_check", def: "true", treat: inert}.alias("requestStaleConnectionCheck"),
	}
}

// pendingKeys are known and kept as text.
func pendingKeys() []key {
	twice := []key{ // documented under one name, read by the original under another
		key{name: "leader.maxTimeToWaitForEpoch", def: "-1", treat: pending}.alias("maxTimeToWaitForEpoch"),
		key{name: "leader.maxConcurrentSnapSyncs", def: "10", treat: pending}.alias("maxConcurrentSnapSyncs"),
		key{name: "leader.maxConcurrentDiffSyncs", def: "100", treat: pending}.alias("maxConcurrentDiffSyncs"),
		key{name: "syncEnabled", def: "true", treat: pending}.alias("observer.syncEnabled"),
	}
	return slices.Concat(twice,
		kept(pending, "observerMasterPort=0",
			"autopurge.snapRetainCount=3", "autopurge.purgeInterval=0", "jvm.pause.monitor=false",
			"jvm.pause.sleep.time.ms=500", "jvm.pause.warn-threshold.ms=10000", "jvm.pause.info-threshold.ms=1000",
			"multiAddress.reachabilityCheckTimeoutMs=1000", "multiAddress.reachabilityCheckEnabled=true", "oraclePath",
			"snapSizeLimitInKb=4194304", "txnLogSizeLimitInKb=-1", "snapshotSizeFactor=0.33", "flushDelay=0",
			"maxWriteQueuePollTime", "maxBatchSize=1000", "snapshot.compression.method", "snapshot.trust.empty=false",
			"serializeLastProcessedZxid.enabled=true", "closeSessionTxn.enabled=true",
			"emulate353TTLNodes=false",

			"maxResponseCacheSize=400", "maxGetChildrenResponseCacheSize=400",
			"jute.maxbuffer.extrasize", "quorumCnxnTimeoutMs=-1", "leaderConnectDelayDuringRetryMs=100",
			"observerMaster.sizeLimit=33554432", "kerberos.canonicalizeHostNames=false",

			"IPAuthenticationProvider.usexforwardedfor=false",
			"kerberos.removeHostFromPrincipal=false", "kerberos.removeRealmFromPrincipal=false",
			"security.auth_to_local=DEFAULT", "kerberos.minReLoginTimeMs=60000",
			"java.security.krb5.conf", "quorum.auth.server.saslLoginContext=QuorumServer",
			"quorum.auth.learner.saslLoginContext=QuorumLearner", "quorum.auth.kerberos.servicePrincipal=zkquorum/localhost",
			"admin.enableServer=true", "admin.serverAddress=0.0.0.0", "admin.serverPort=8080", "admin.idleTimeout=30000",
			"admin.commandURL=/commands", "admin.httpVersion=11", "admin.portUnification=false", "admin.forceHttps=false",
			"admin.needClientAuth=false", "admin.snapshot.enabled=true", "admin.restore.enabled=true",
			"admin.rateLimiterIntervalInMS=300000", "audit.enable=false", "messageTracker.Enabled=false",
			"messageTracker.BufferSize=10", "log.dir", "log.file", "root.logger", "console.threshold", "log.threshold",

			"netty.server.earlyDropSecureConnectionHandshakes=false",
			"sslQuorumReloadCertFiles=false"),
		kept(pendingGuard, "sslQuorum=false", "portUnification=false",
			"quorum.auth.enableSasl=false", "quorum.auth.serverRequireSasl=false", "quorum.auth.learnerRequireSasl=false",
			"ssl.authProvider=x509", "ssl.crl=false", "ssl.ocsp=false", // the last two are refused if they are true
		),
	)
}

func setTickTime(c *Config, v string) (string, error) {
	n, err := parseWhole(v, 0, maxTickTime)
	if err != nil {
		return "", err
	}
	if n == 0 {
		return "", errors.New("tickTime is not set")
	}
	c.TickTime = time.Duration(n) * time.Millisecond
	return "", nil
}

// sessionTimeout reads a bound of session timeouts; -1 stands for the default, which
// depends on tickTime.
func sessionTimeout(field func(*Config) *time.Duration) func(*Config, string) (string, error) {
	return func(c *Config, v string) (string, error) {
		n, err := parseWhole(v, -1, math.MaxInt32)
		*field(c) = time.Duration(n) * time.Millisecond
		return "", err
	}
}

// resolve finds what a spelling means: the canonical name of a known key with its
// description, the key itself for members of a family and for server entries, or
// the key without the prefix and nil for an unknown one.
func resolve(spelling string) (name string, k *key) {
	for _, try := range [...]string{spelling, strings.TrimPrefix(spelling, "zookeeper.")} {
		if i, ok := index[try]; ok {
			return table[i].name, &table[i]
		}
		if quorum.IsMemberKey(try) {
			return try, &key{name: try}
		}
		for _, f := range families {
			if strings.HasPrefix(try, f.prefix) {
				return try, &key{name: try, treat: f.treat}
			}
		}
	}
	return strings.TrimPrefix(spelling, "zookeeper."), nil
}

// suggest returns the known spelling nearest to an unknown one, or "".
func suggest(name string) string {
	if len(name) > 64 {
		return ""
	}
	best, distance := "", max(2, len(name)/3)+1
	for _, k := range table {
		for _, candidate := range append([]string{k.name}, k.aliases...) {
			if d := editDistance(strings.ToLower(name), strings.ToLower(candidate)); d < distance {
				best, distance = k.name, d
			}
		}
	}
	return best
}

// editDistance counts the insertions, deletions and replacements of bytes between a and b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
