package zabkeeper;

import java.io.File;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import org.apache.zookeeper.server.ServerCnxn;
import org.apache.zookeeper.server.ServerCnxnFactory;
import org.apache.zookeeper.server.ZooKeeperServer;

/**
 * Gives the tests of the Java client, by the property zookeeper.serverCnxnFactory, a zabkeeper process where they
 * expect the network side of a server in their own process. The ZooKeeperServer that they made is started, too, because they look
 * for its beans, but no client reaches it.
 */
public final class CnxnFactory extends ServerCnxnFactory {
    private InetSocketAddress address;
    private int maxConnections;
    private Server server;
    private boolean stopped;

    @Override
    public void configure(InetSocketAddress addr, int maxcc, int backlog, boolean secure) throws IOException {
        if (secure) {
            throw new IOException("the secure port is not part of this suite");
        }
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
        Map<String, String> settings = new HashMap<>();
        settings.put("dataDir", data.getPath());
        settings.put("clientPort", Integer.toString(address.getPort()));
        settings.put("tickTime", Integer.toString(zks.getTickTime()));
        settings.put("minSessionTimeout", Integer.toString(zks.getMinSessionTimeout()));
        settings.put("maxSessionTimeout", Integer.toString(zks.getMaxSessionTimeout()));
        settings.put("maxClientCnxns", Integer.toString(Math.max(0, maxConnections)));
        server = Server.start(data, settings);
        server.awaitListening(address.getPort());
    }

    @Override
    public synchronized void shutdown() {
        if (server != null) {
            server.stop();
            server = null;
        }
        if (zkServer != null) {
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
    }

    @Override
    public int getSocketListenBacklog() {
        return -1;
    }
}
