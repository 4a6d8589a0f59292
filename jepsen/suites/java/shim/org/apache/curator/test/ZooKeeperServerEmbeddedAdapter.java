package org.apache.curator.test;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.util.HashMap;
import java.util.Map;
import org.apache.zookeeper.server.quorum.QuorumPeerConfig;
import zabkeeper.Server;

/**
 * Takes the place of the class of the same name in curator-test, which runs ZooKeeper in the process of the test:
 * here each server of TestingServer and TestingCluster is a zabkeeper process.
 */
public class ZooKeeperServerEmbeddedAdapter implements ZooKeeperMainFace {
    private Server server;
    private int port;

    @Override
    public void start(QuorumPeerConfigBuilder builder) {
        try {
            Map<String, String> settings = new HashMap<>();
            builder.buildProperties().forEach((k, v) -> settings.put(k.toString(), v.toString()));
            // A test switches it on in the process that would run the server.
            settings.putIfAbsent("reconfigEnabled", Boolean.toString(QuorumPeerConfig.isReconfigEnabled()));
            port = Integer.parseInt(settings.get("clientPort"));
            if (port == 0) {
                port = Server.freePort();
                settings.put("clientPort", Integer.toString(port));
            }
            File data = new File(settings.get("dataDir"));
            Files.createDirectories(data.toPath());
            boolean alone = settings.keySet().stream().noneMatch(k -> k.startsWith("server."));
            if (!alone) {
                String id = Integer.toString(builder.getInstanceSpec().getServerId());
                Files.writeString(new File(data, "myid").toPath(), id);
            }
            server = Server.start(data, settings);
            if (alone) { // a member listens when there is a quorum
                server.awaitListening(port);
            }
        } catch (Exception e) {
            throw new FailedServerStartException(e);
        }
    }

    @Override
    public int getClientPort() {
        return port;
    }

    @Override
    public void kill() {
        server.kill();
    }

    @Override
    public void close() throws IOException {
        if (server != null) {
            server.stop();
        }
    }
}
