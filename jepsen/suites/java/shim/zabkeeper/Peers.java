package zabkeeper;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import net.bytebuddy.implementation.bind.annotation.This;
import org.apache.zookeeper.client.FourLetterWordMain;
import org.apache.zookeeper.server.quorum.Follower;
import org.apache.zookeeper.server.quorum.Leader;
import org.apache.zookeeper.server.quorum.Observer;
import org.apache.zookeeper.server.quorum.QuorumPeer;
import org.apache.zookeeper.server.quorum.QuorumPeer.LearnerType;
import org.apache.zookeeper.server.quorum.QuorumPeer.ServerState;
import org.apache.zookeeper.server.quorum.QuorumPeerConfig;
import org.apache.zookeeper.test.QuorumUtil;
import org.objenesis.ObjenesisStd;

/**
 * What the methods of QuorumPeer do that Weave replaces: the object keeps its settings, which become a zoo.cfg, and
 * its thread, which lasts as long as the process. Of leader, follower and observer it is only true whether they
 * are null: tests ask that to find the leader. What else they want to know of them they do not get.
 */
public final class Peers {
    private static final long POLL_MILLIS = 200;
    private static final Map<QuorumPeer, Server> servers = new ConcurrentHashMap<>();

    private Peers() {}

    public static void loadDataBase(@This QuorumPeer peer) {
        // The process has its own.
    }

    public static void startLeaderElection(@This QuorumPeer peer) {
        // Likewise.
    }

    public static void startServerCnxnFactory(@This QuorumPeer peer) {
        try {
            File data = new File(peer.getTxnFactory().getSnapDir().getParentFile(), "zabkeeper");
            Files.createDirectories(data.toPath());
            Files.writeString(new File(data, "myid").toPath(), Long.toString(peer.getMyId()));
            servers.put(peer, Server.start(data, settings(peer, data)));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Map<String, String> settings(QuorumPeer peer, File data) {
        Map<String, String> settings = new HashMap<>();
        settings.put("dataDir", data.getPath());
        settings.put("tickTime", Integer.toString(peer.getTickTime()));
        settings.put("initLimit", Integer.toString(peer.getInitLimit()));
        settings.put("syncLimit", Integer.toString(peer.getSyncLimit()));
        settings.put("minSessionTimeout", Integer.toString(peer.getMinSessionTimeout()));
        settings.put("maxSessionTimeout", Integer.toString(peer.getMaxSessionTimeout()));
        settings.put("maxClientCnxns", Integer.toString(Math.max(0, peer.getMaxClientCnxnsPerHost())));
        settings.put("localSessionsEnabled", Boolean.toString(peer.areLocalSessionsEnabled()));
        settings.put("localSessionsUpgradingEnabled", Boolean.toString(peer.isLocalSessionsUpgradingEnabled()));
        settings.put("reconfigEnabled", Boolean.toString(QuorumPeerConfig.isReconfigEnabled()));
        settings.put("standaloneEnabled", Boolean.toString(QuorumPeerConfig.isStandaloneEnabled()));
        if (peer.getLearnerType() == LearnerType.OBSERVER) {
            settings.put("peerType", "observer");
        }
        if (peer.getSecureClientPort() > 0) {
            settings.put("secureClientPort", Integer.toString(peer.getSecureClientPort()));
        }
        // Lines of servers, groups and weights.
        for (String line : peer.getQuorumVerifier().toString().split("\n")) {
            String[] pair = line.split("=", 2);
            if (pair.length == 2 && !pair[0].equals("version")) {
                settings.put(pair[0], pair[1]);
            }
        }
        // The line of a server names its client port unless zoo.cfg had it as a setting of its own.
        if (peer.getClientPort() > 0 && !settings.get("server." + peer.getMyId()).contains(";")) {
            settings.put("clientPort", Integer.toString(peer.getClientPort()));
        }
        return settings;
    }

    public static void run(@This QuorumPeer peer) throws InterruptedException {
        Server server = servers.get(peer);
        while (server != null && server.isRunning()) {
            refresh(peer);
            Thread.sleep(POLL_MILLIS);
        }
        refresh(peer);
    }

    /** Before QuorumUtil looks at all. */
    public static void refresh(@This QuorumUtil all) {
        for (int id = 1; id <= all.ALL; id++) {
            refresh(all.getPeer(id).peer);
        }
    }

    private static void refresh(QuorumPeer peer) {
        ServerState state = getPeerState(peer);
        synchronized (peer) {
            peer.leader = state == ServerState.LEADING ? stand(peer.leader, Leader.class) : null;
            peer.follower = state == ServerState.FOLLOWING ? stand(peer.follower, Follower.class) : null;
            peer.observer = state == ServerState.OBSERVING ? stand(peer.observer, Observer.class) : null;
        }
    }

    private static <T> T stand(T old, Class<T> type) {
        return old != null ? old : new ObjenesisStd().newInstance(type);
    }

    public static void shutdown(@This QuorumPeer peer) {
        Server server = servers.remove(peer);
        if (server != null) {
            server.stop();
        }
    }

    public static ServerState getPeerState(@This QuorumPeer peer) {
        Server server = servers.get(peer);
        if (server == null || !server.isRunning()) {
            return ServerState.LOOKING;
        }
        InetSocketAddress client = peer.getView().get(peer.getMyId()).clientAddr;
        int port = client != null ? client.getPort() : peer.getClientPort();
        try {
            String answer = FourLetterWordMain.send4LetterWord("127.0.0.1", port, "srvr");
            if (answer.contains("Mode: leader")) {
                return ServerState.LEADING;
            } else if (answer.contains("Mode: follower")) {
                return ServerState.FOLLOWING;
            } else if (answer.contains("Mode: observer")) {
                return ServerState.OBSERVING;
            }
        } catch (Exception e) {
            return ServerState.LOOKING; // it does not listen
        }
        return ServerState.LOOKING;
    }
}
