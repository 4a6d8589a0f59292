package zabkeeper;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.WeakHashMap;
import net.bytebuddy.implementation.bind.annotation.This;
import org.apache.zookeeper.client.FourLetterWordMain;
import org.apache.zookeeper.server.DataTree;
import org.apache.zookeeper.server.ServerCnxn;
import org.apache.zookeeper.server.ServerCnxnFactory;
import org.apache.zookeeper.server.ZooKeeperServer;
import org.apache.zookeeper.server.quorum.QuorumPeerConfig;

/**
 * Gives the tests of the Java client a zabkeeper process where they expect the network side of a server in their own process:
 * Weave lets ServerCnxnFactory make this one. The ZooKeeperServer that they made is started, too, because some
 * look for parts of it, but no client reaches it. In an ensemble the factory is no more than an address: see Peers.
 */
public final class CnxnFactory extends ServerCnxnFactory {
    private static final Map<ZooKeeperServer, Map<String, String>> settings = Collections.synchronizedMap(new WeakHashMap<>());
    private static final Map<ZooKeeperServer, Server> servers = Collections.synchronizedMap(new WeakHashMap<>());

    private InetSocketAddress address;
    private int maxConnections;
    private boolean stopped;

    /** What Weave lets ServerCnxnFactory.createFactory do. */
    public static ServerCnxnFactory create() {
        return new CnxnFactory();
    }

    @Override
    public void configure(InetSocketAddress addr, int maxcc, int backlog, boolean secure) throws IOException {
        this.secure = secure;
        maxConnections = maxcc;
        address = addr.getPort() != 0 ? addr : new InetSocketAddress(addr.getAddress(), Server.freePort());
    }

    @Override
    public void startup(ZooKeeperServer zks, boolean startServer) throws IOException, InterruptedException {
        File data = new File(zks.getTxnLogFactory().getSnapDir().getParentFile(), "zabkeeper");
        if (!data.isDirectory() && !data.mkdirs()) {
            throw new IOException("cannot make " + data);
        }
        setZooKeeperServer(zks);
        if (startServer) {
            zks.startdata();
            zks.startup();
        }
        // A server with a port for TLS has a second factory, which comes later: the process starts again, with both ports.
        Map<String, String> zoo = settings.computeIfAbsent(zks, k -> new HashMap<>());
        zoo.put(secure ? "secureClientPort" : "clientPort", Integer.toString(address.getPort()));
        zoo.put("dataDir", data.getPath());
        zoo.put("tickTime", Integer.toString(zks.getTickTime()));
        zoo.put("reconfigEnabled", Boolean.toString(QuorumPeerConfig.isReconfigEnabled()));
        zoo.put("maxClientCnxns", Integer.toString(Math.max(0, maxConnections)));
        start(zks);
    }

    private static void start(ZooKeeperServer zks) throws IOException {
        Map<String, String> zoo = settings.get(zks);
        zoo.put("minSessionTimeout", Integer.toString(zks.getMinSessionTimeout()));
        zoo.put("maxSessionTimeout", Integer.toString(zks.getMaxSessionTimeout()));
        stop(zks);
        Server server = Server.start(new File(zoo.get("dataDir")), zoo);
        servers.put(zks, server);
        for (String port : List.of("clientPort", "secureClientPort")) {
            if (zoo.containsKey(port)) {
                server.awaitListening(Integer.parseInt(zoo.get(port)));
            }
        }
    }

    /** Starts a process again whose settings a test changes while it runs. */
    public static void changed(@This ZooKeeperServer zks) {
        try {
            if (servers.containsKey(zks)) {
                start(zks);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** How many watches the process has, for tests that ask the tree of the server that they made. */
    public static int watches(@This DataTree tree) throws Exception {
        for (Map.Entry<ZooKeeperServer, Map<String, String>> e : settings.entrySet()) {
            if (e.getKey().getZKDatabase().getDataTree() == tree) {
                String answer = FourLetterWordMain.send4LetterWord(
                        "127.0.0.1", Integer.parseInt(e.getValue().get("clientPort")), "mntr");
                return answer.lines().filter(l -> l.startsWith("zk_watch_count\t"))
                        .mapToInt(l -> Integer.parseInt(l.split("\t")[1])).findFirst().orElseThrow();
            }
        }
        return 0;
    }

    private static void stop(ZooKeeperServer zks) {
        Server server = servers.remove(zks);
        if (server != null) {
            server.stop();
        }
    }

    @Override
    public synchronized void shutdown() {
        if (zkServer != null) {
            stop(zkServer);
            zkServer.shutdown();
        }
        stopped = true;
        notifyAll();
    }

    @Override
    public synchronized void join() throws InterruptedException {
        while (!stopped) {
            wait();
        }
    }

    @Override
    public void start() {
        // The process listens from startup on.
    }

    @Override
    public void reconfigure(InetSocketAddress addr) {
        throw new UnsupportedOperationException();
    }

    @Override
    public boolean closeSession(long sessionId, ServerCnxn.DisconnectReason reason) {
        return false;
    }

    @Override
    public void closeAll(ServerCnxn.DisconnectReason reason) {
        // The process has the connections.
    }

    @Override
    public Iterable<ServerCnxn> getConnections() {
        return Collections.emptyList();
    }

    @Override
    public Iterable<Map<String, Object>> getAllConnectionInfo(boolean brief) {
        return Collections.emptyList();
    }

    @Override
    public void resetAllConnectionStats() {
        // The process has the statistics.
    }

    @Override
    public int getNumAliveConnections() {
        return 0;
    }

    @Override
    public InetSocketAddress getLocalAddress() {
        return address;
    }

    @Override
    public int getLocalPort() {
        return address.getPort();
    }

    @Override
    public int getMaxClientCnxnsPerHost() {
        return maxConnections;
    }

    @Override
    public void setMaxClientCnxnsPerHost(int max) {
        maxConnections = max;
        if (zkServer != null && settings.containsKey(zkServer)) {
            settings.get(zkServer).put("maxClientCnxns", Integer.toString(max));
            changed(zkServer);
        }
    }

    @Override
    public int getSocketListenBacklog() {
        return -1;
    }
}
