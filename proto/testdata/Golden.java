// Writes apache.txt (argument "records") and ../jute/testdata/utf8.txt (argument "utf8") with
// Apache ZooKeeper's own record classes and Java's own UTF-8 decoder (Java 17, jars of the
// zookeeper 3.8.0 release):
//
//	CP=zookeeper-3.8.0.jar:zookeeper-jute-3.8.0.jar:slf4j-api.jar:audience-annotations.jar
//	java -cp $CP Golden.java records > apache.txt
//	java -cp $CP Golden.java utf8 > ../jute/testdata/utf8.txt

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.*;
import org.apache.jute.*;
import org.apache.zookeeper.*;
import org.apache.zookeeper.data.*;
import org.apache.zookeeper.proto.*;
import org.apache.zookeeper.txn.*;

public class Golden {
    static final byte[] HI = "hi".getBytes(StandardCharsets.UTF_8);
    static final byte[] PW = new byte[16];
    static final List<ACL> ACLS = List.of(
        new ACL(31, new Id("world", "anyone")), new ACL(5, new Id("digest", "u:p")));
    static final Stat STAT = new Stat(0x100000001L, 0x100000002L, 1700000000001L, 1700000000002L,
        3, 4, 5, 0x0100000e94310000L, 2, 6, 0x100000007L);

    static String hex(byte[] b) {
        return HexFormat.of().formatHex(b);
    }

    static byte[] bytes(org.apache.jute.Record... rs) throws Exception {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        OutputArchive oa = BinaryOutputArchive.getArchive(out);
        for (org.apache.jute.Record r : rs) {
            r.serialize(oa, "r");
        }
        return out.toByteArray();
    }

    static void put(String name, org.apache.jute.Record... rs) throws Exception {
        System.out.println(name + " " + hex(bytes(rs)));
    }

    static TxnHeader hdr(int type) {
        return new TxnHeader(0x0100000e94310000L, 7, 0x200000009L, 1700000000003L, type);
    }

    public static void main(String[] args) throws Exception {
        if (args[0].equals("utf8")) {
            utf8();
            return;
        }
        System.out.println("# Records of Apache ZooKeeper 3.8.0 as its own classes write them; see Golden.java.");
        requests();
        responses();
        multis();
        txns();
    }

    static void requests() throws Exception {
        put("RequestHeader", new RequestHeader(9, 14));
        put("CreateRequest", new CreateRequest("/a", HI, ACLS, 3));
        put("CreateRequest/null", new CreateRequest("/a", null, null, 0));
        put("CreateRequest/empty", new CreateRequest("", new byte[0], List.of(), 0));
        put("CreateTTLRequest", new CreateTTLRequest("/a", HI, ACLS, 5, 60000));
        put("DeleteRequest", new DeleteRequest("/a", -1));
        put("ExistsRequest", new ExistsRequest("/a", true));
        put("GetDataRequest", new GetDataRequest("/a", false));
        put("GetChildrenRequest", new GetChildrenRequest("/a", true));
        put("GetChildren2Request", new GetChildren2Request("/a", true));
        put("SetDataRequest", new SetDataRequest("/a", HI, 4));
        put("GetACLRequest", new GetACLRequest("/a"));
        put("SetACLRequest", new SetACLRequest("/a", ACLS, 2));
        put("SyncRequest", new SyncRequest("/a"));
        put("SyncRequest/null", new SyncRequest(null));
        put("GetAllChildrenNumberRequest", new GetAllChildrenNumberRequest("/a"));
        put("GetEphemeralsRequest", new GetEphemeralsRequest("/a"));
        put("CheckVersionRequest", new CheckVersionRequest("/a", 3));
        put("ReconfigRequest", new ReconfigRequest("server.4=h:1:2;3", null, null, -1));
        put("CheckWatchesRequest", new CheckWatchesRequest("/a", 2));
        put("RemoveWatchesRequest", new RemoveWatchesRequest("/a", 3));
        put("AddWatchRequest", new AddWatchRequest("/a", 1));
        put("SetWatches", new SetWatches(0x100000007L, List.of("/a", "/b"), List.of(), List.of("/c")));
        put("SetWatches2", new SetWatches2(0x100000007L, List.of("/a"), List.of("/b"), List.of("/c"),
            List.of("/d"), List.of("/e", "/é")));
        put("AuthPacket", new AuthPacket(0, "digest", "u:p".getBytes()));
        put("GetSASLRequest", new GetSASLRequest(HI));
    }

    static void responses() throws Exception {
        put("ReplyHeader", new ReplyHeader(9, 0x200000009L, -101));
        put("CreateResponse", new CreateResponse("/a"));
        put("Create2Response", new Create2Response("/a", STAT));
        put("ExistsResponse", new ExistsResponse(STAT));
        put("GetDataResponse", new GetDataResponse(HI, STAT));
        put("GetDataResponse/null", new GetDataResponse(null, STAT));
        put("GetDataResponse/empty", new GetDataResponse(new byte[0], STAT));
        put("GetACLResponse", new GetACLResponse(ACLS, STAT));
        put("GetChildrenResponse", new GetChildrenResponse(List.of("x", "y")));
        put("GetChildrenResponse/empty", new GetChildrenResponse(List.of()));
        put("GetChildren2Response", new GetChildren2Response(List.of("x", "y"), STAT));
        put("SyncResponse", new SyncResponse("/a"));
        put("GetAllChildrenNumberResponse", new GetAllChildrenNumberResponse(12));
        put("GetEphemeralsResponse", new GetEphemeralsResponse(List.of("/e")));
        put("SetSASLResponse", new SetSASLResponse(null));
        put("WhoAmIResponse", new WhoAmIResponse(List.of(new ClientInfo("ip", "127.0.0.1"), new ClientInfo("digest", "u"))));
        put("ErrorResponse", new ErrorResponse(-103));
        put("WatcherEvent", new WatcherEvent(4, 3, "/a"));
    }

    static void multis() throws Exception {
        MultiOperationRecord w = new MultiOperationRecord(List.of(
            Op.create("/a", HI, ACLS, 1),
            Op.create("/c", HI, ACLS, 4),
            Op.create("/t", HI, ACLS, CreateMode.PERSISTENT_WITH_TTL, 60000),
            Op.delete("/d", 2), Op.setData("/s", HI, 3), Op.check("/k", 4)));
        put("MultiRequest", w);
        put("MultiRequest/empty", new MultiOperationRecord());
        put("MultiReadRequest", new MultiOperationRecord(List.of(Op.getData("/a"), Op.getChildren("/b"))));
        MultiResponse ok = new MultiResponse();
        ok.add(new OpResult.CreateResult("/a"));
        ok.add(new OpResult.CreateResult("/b", STAT));
        ok.add(new OpResult.DeleteResult());
        ok.add(new OpResult.SetDataResult(STAT));
        ok.add(new OpResult.CheckResult());
        put("MultiResponse", ok);
        MultiResponse failed = new MultiResponse();
        failed.add(new OpResult.ErrorResult(0));
        failed.add(new OpResult.ErrorResult(-110));
        failed.add(new OpResult.ErrorResult(-2));
        put("MultiResponse/failed", failed);
        MultiResponse read = new MultiResponse();
        read.add(new OpResult.GetDataResult(HI, STAT));
        read.add(new OpResult.GetChildrenResult(List.of("x")));
        read.add(new OpResult.ErrorResult(-101));
        put("MultiResponse/read", read);
    }

    static void txns() throws Exception {
        put("Txn/create", hdr(1), new CreateTxn("/a", HI, ACLS, true, 8));
        put("Txn/create2/digest", hdr(15), new CreateTxn("/a", null, ACLS, false, 8), new TxnDigest(2, 0xfedcba9876543210L));
        put("Txn/createContainer", hdr(19), new CreateContainerTxn("/a", HI, ACLS, 8));
        put("Txn/createTTL", hdr(21), new CreateTTLTxn("/a", HI, ACLS, 8, 60000));
        put("Txn/delete", hdr(2), new DeleteTxn("/a"));
        put("Txn/deleteContainer", hdr(20), new DeleteTxn("/a"));
        put("Txn/setData", hdr(5), new SetDataTxn("/a", HI, 4));
        put("Txn/reconfig", hdr(16), new SetDataTxn("/zookeeper/config", HI, -1));
        put("Txn/setACL", hdr(7), new SetACLTxn("/a", ACLS, 4));
        put("Txn/createSession", hdr(-10), new CreateSessionTxn(30000));
        put("Txn/closeSession", hdr(-11), new CloseSessionTxn(List.of("/a", "/b")));
        System.out.println("Txn/closeSession/old " + hex(bytes(hdr(-11))));
        put("Txn/error", hdr(-1), new ErrorTxn(-110));
        put("Txn/multi", hdr(14), new MultiTxn(List.of(
            new Txn(1, bytes(new CreateTxn("/a", HI, ACLS, false, 9))),
            new Txn(5, bytes(new SetDataTxn("/a", HI, 1))),
            new Txn(13, bytes(new CheckVersionTxn("/a", 2))),
            new Txn(2, bytes(new DeleteTxn("/a"))))), new TxnDigest(2, 1));
        put("Txn/multi/failed", hdr(14), new MultiTxn(List.of(
            new Txn(-1, bytes(new ErrorTxn(0))), new Txn(-1, bytes(new ErrorTxn(-111))), new Txn(-1, bytes(new ErrorTxn(-2))))));
    }

    // Short strings over the bytes at which UTF-8 decoders take decisions, without
    // repetitions and without those that are plain ASCII.
    static void utf8() {
        System.out.println("# Bytes and what new String(bytes, UTF_8) of OpenJDK makes of them; see ../../testdata/Golden.java.");
        int[] pool = {0x2f, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0,
            0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf8, 0xfc, 0xff};
        Set<String> in = new LinkedHashSet<>();
        for (int a : pool) {
            for (int b : pool) {
                in.add(String.format("%02x%02x", a, b));
            }
        }
        Random r = new Random(7);
        int[] lead = {0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0x41};
        while (in.size() < 2500) {
            StringBuilder s = new StringBuilder();
            int n = 3 + r.nextInt(5);
            for (int i = 0; i < n; i++) {
                s.append(String.format("%02x", i % 4 == 0 ? lead[r.nextInt(lead.length)] : pool[2 + r.nextInt(7)]));
            }
            in.add(s.toString());
        }
        for (String h : in) {
            String s = new String(HexFormat.of().parseHex(h), StandardCharsets.UTF_8);
            System.out.println(h + " " + hex(s.getBytes(StandardCharsets.UTF_8)));
        }
    }
}
