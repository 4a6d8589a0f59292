package zabkeeper;

import static net.bytebuddy.matcher.ElementMatchers.isPublic;
import static net.bytebuddy.matcher.ElementMatchers.named;
import static net.bytebuddy.matcher.ElementMatchers.namedOneOf;
import static net.bytebuddy.matcher.ElementMatchers.takesNoArguments;

import java.io.File;
import java.util.List;
import net.bytebuddy.ByteBuddy;
import net.bytebuddy.dynamic.DynamicType;
import net.bytebuddy.implementation.MethodDelegation;
import net.bytebuddy.implementation.SuperMethodCall;
import org.apache.zookeeper.server.DataTree;
import org.apache.zookeeper.server.ServerCnxnFactory;
import org.apache.zookeeper.server.ZooKeeperServer;
import org.apache.zookeeper.server.quorum.QuorumPeer;
import org.apache.zookeeper.test.QuorumUtil;

/**
 * Writes classes of ZooKeeper into a directory that comes first in the class path, with a few methods replaced:
 * ServerCnxnFactory makes ours, whatever a test has chosen; a QuorumPeer is a process; new bounds of session timeouts
 * reach the process; the number of watches is asked of it.
 */
public final class Weave {
    private Weave() {}

    public static void main(String[] args) throws Exception {
        File directory = new File(args[0]);
        new ByteBuddy().redefine(ServerCnxnFactory.class)
                .method(named("createFactory").and(takesNoArguments()))
                .intercept(MethodDelegation.withDefaultConfiguration().filter(named("create")).to(CnxnFactory.class))
                .make().saveIn(directory);

        new ByteBuddy().rebase(ZooKeeperServer.class)
                .method(named("setMinSessionTimeout").or(named("setMaxSessionTimeout")))
                .intercept(SuperMethodCall.INSTANCE.andThen(
                        MethodDelegation.withDefaultConfiguration().filter(named("changed")).to(CnxnFactory.class)))
                .make().saveIn(directory);

        new ByteBuddy().redefine(DataTree.class)
                .method(named("getWatchCount"))
                .intercept(MethodDelegation.withDefaultConfiguration().filter(named("watches")).to(CnxnFactory.class))
                .make().saveIn(directory);

        DynamicType.Builder<QuorumPeer> peer = new ByteBuddy().redefine(QuorumPeer.class);
        for (String name : List.of("loadDataBase", "startServerCnxnFactory", "startLeaderElection", "run", "shutdown",
                "getPeerState")) {
            peer = peer.method(named(name).and(takesNoArguments()))
                    .intercept(MethodDelegation.withDefaultConfiguration().filter(named(name)).to(Peers.class));
        }
        peer.make().saveIn(directory);
        new ByteBuddy().rebase(QuorumUtil.class)
                .method(namedOneOf("getLeaderServer", "getLeaderQuorumPeer", "getFollowerQuorumPeers", "leaderExists"))
                .intercept(MethodDelegation.withDefaultConfiguration().filter(named("refresh").and(isPublic())).to(Peers.class)
                        .andThen(SuperMethodCall.INSTANCE))
                .make().saveIn(directory);
    }
}
