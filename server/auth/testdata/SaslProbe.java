import java.io.*;
import java.nio.charset.StandardCharsets;
import java.security.*;
import java.util.*;
import javax.security.auth.callback.*;
import javax.security.sasl.*;

/** Asks the JDK's DIGEST-MD5 server what it accepts. */
public class SaslProbe {
    static final Map<String,String> users = new LinkedHashMap<>();
    static CallbackHandler server() {
        return cbs -> {
            String user = null;
            for (Callback cb : cbs) {
                if (cb instanceof RealmCallback) ((RealmCallback) cb).setText(((RealmCallback) cb).getDefaultText());
                else if (cb instanceof NameCallback) {
                    String n = ((NameCallback) cb).getDefaultName();
                    if (users.containsKey(n)) { ((NameCallback) cb).setName(n); user = n; }
                } else if (cb instanceof PasswordCallback) {
                    if (user != null) ((PasswordCallback) cb).setPassword(users.get(user).toCharArray());
                } else if (cb instanceof AuthorizeCallback) {
                    AuthorizeCallback ac = (AuthorizeCallback) cb;
                    ac.setAuthorized(true);
                    ac.setAuthorizedID(ac.getAuthenticationID());
                }
            }
        };
    }
    static String hex(byte[] b) { if (b == null) return "-"; StringBuilder s = new StringBuilder(); for (byte x : b) s.append(String.format("%02x", x)); return s.length() == 0 ? "\"\"" : s.toString(); }
    static byte[] md5(byte[]... p) throws Exception { MessageDigest m = MessageDigest.getInstance("MD5"); for (byte[] x : p) m.update(x); return m.digest(); }
    static byte[] u(String s) { return s.getBytes(StandardCharsets.UTF_8); }
    static byte[] latin(String s) {
        for (char c : s.toCharArray()) if (c > 255) return u(s);
        return s.getBytes(StandardCharsets.ISO_8859_1);
    }

    /** What a client computes; every part can be changed. */
    static class R {
        String user = "bob", pass = "bobsecret", realm = "zk-sasl-md5", cnonce = "abcdefGHIJ+/0123456789", nc = "00000001", qop = "auth", uri = "zookeeper/zk-sasl-md5", authzid = null;
        boolean utf8 = true; String nonce;
        byte[] hash() throws Exception {
            byte[] urp = utf8 ? cat(latin(user), u(":"), latin(realm), u(":"), latin(pass)) : cat(u(user), u(":"), u(realm), u(":"), u(pass));
            byte[] a1 = cat(md5(urp), u(":" + nonce + ":" + cnonce + (authzid == null ? "" : ":" + authzid)));
            byte[] a2 = u("AUTHENTICATE:" + uri);
            return u(hex(md5(u(hex(md5(a1)) + ":" + nonce + ":" + nc + ":" + cnonce + ":" + qop + ":" + hex(md5(a2))))));
        }
        String text(String response) {
            return "charset=utf-8,username=\"" + user + "\",realm=\"" + realm + "\",nonce=\"" + nonce + "\",nc=" + nc + ",cnonce=\"" + cnonce + "\",digest-uri=\"" + uri + "\",maxbuf=65536,response=" + response + ",qop=" + qop + (authzid == null ? "" : ",authzid=\"" + authzid + "\"");
        }
    }
    static byte[] cat(byte[]... p) { ByteArrayOutputStream o = new ByteArrayOutputStream(); for (byte[] x : p) o.write(x, 0, x.length); return o.toByteArray(); }
    interface Maker { byte[] make(R r) throws Exception; }
    static void run(String name, Maker m) throws Exception {
        SaslServer s = Sasl.createSaslServer("DIGEST-MD5", "zookeeper", "zk-sasl-md5", null, server());
        byte[] challenge = s.evaluateResponse(new byte[0]);
        String c = new String(challenge, StandardCharsets.UTF_8);
        R r = new R();
        r.nonce = c.split("nonce=\"")[1].split("\"")[0];
        byte[] response = m.make(r);
        String out, err = "";
        try { out = hex(s.evaluateResponse(response)) + " " + s.getAuthorizationID(); }
        catch (SaslException e) { out = "refused"; err = e.getMessage(); }
        catch (RuntimeException e) { out = "refused"; err = "" + e; }
        System.out.println("# " + name + (err.isEmpty() ? "" : ": " + err.replace('\n', ' ').replace(r.nonce, "<nonce>")));
        System.out.println(hex(challenge) + " " + hex(response) + " " + out);
    }
    static void edit(String name, String from, String to) throws Exception {
        run(name, r -> { String t = r.text(new String(r.hash())); if (!t.contains(from)) throw new Error(name); return u(t.replace(from, to.replace("$n", r.nonce))); });
    }
    static void client(String name, String user, String pass, String authzid) throws Exception {
        run(name, r -> {
            SaslClient cl = Sasl.createSaslClient(new String[]{"DIGEST-MD5"}, authzid, "zookeeper", "zk-sasl-md5", null, cbs -> {
                for (Callback cb : cbs) {
                    if (cb instanceof RealmCallback) ((RealmCallback) cb).setText(((RealmCallback) cb).getDefaultText());
                    else if (cb instanceof NameCallback) ((NameCallback) cb).setName(user);
                    else if (cb instanceof PasswordCallback) ((PasswordCallback) cb).setPassword(pass.toCharArray());
                }
            });
            return cl.evaluateChallenge(u("realm=\"zk-sasl-md5\",nonce=\"" + r.nonce + "\",charset=utf-8,algorithm=md5-sess"));
        });
    }
    public static void main(String[] a) throws Exception {
        System.setOut(new PrintStream(new FileOutputStream(FileDescriptor.out), true, "UTF-8"));
        users.put("bob", "bobsecret"); users.put("J\u00fcrgen", "gr\u00fcn"); users.put("\u30c6\u30b9\u30c8", "\u3072\u307f\u3064"); users.put("latin", "\u3072"); users.put("q\"u\\o", "a\"b\\c"); users.put("empty", ""); users.put("colon:name", "x:y"); users.put("caf\u00e9", "\u3072");
        users.put("emoji", "\uD83D\uDE00");
        client("the JDK's client", "bob", "bobsecret", "bob");
        client("no authzid", "bob", "bobsecret", null);
        client("authzid of another", "bob", "bobsecret", "alice");
        client("wrong password", "bob", "wrong", "bob");
        client("unknown user", "eve", "bobsecret", "eve");
        client("name and password of latin 1", "J\u00fcrgen", "gr\u00fcn", "J\u00fcrgen");
        client("name and password beyond latin 1", "\u30c6\u30b9\u30c8", "\u3072\u307f\u3064", "\u30c6\u30b9\u30c8");
        client("password alone beyond latin 1", "latin", "\u3072", "latin");
        client("name of latin 1, password beyond", "caf\u00e9", "\u3072", "caf\u00e9");
        client("a character beyond the basic plane", "emoji", "\uD83D\uDE00", "emoji");
        client("quotes and backslashes", "q\"u\\o", "a\"b\\c", "q\"u\\o");
        client("colons", "colon:name", "x:y", "colon:name");
        client("empty password", "empty", "", "empty");
        run("the model client", r -> u(r.text(new String(r.hash()))));
        edit("no charset", "charset=utf-8,", "");
        edit("charset in upper case", "charset=utf-8", "charset=UTF-8");
        edit("charset quoted", "charset=utf-8", "charset=\"utf-8\"");
        edit("another charset", "charset=utf-8", "charset=latin1");
        edit("no maxbuf", "maxbuf=65536,", "");
        edit("maxbuf no number", "maxbuf=65536", "maxbuf=many");
        edit("maxbuf 0", "maxbuf=65536", "maxbuf=0");
        edit("maxbuf negative", "maxbuf=65536", "maxbuf=-1");
        edit("maxbuf too large", "maxbuf=65536", "maxbuf=99999999999");
        edit("no username", "username=\"bob\",", "");
        edit("username unquoted", "username=\"bob\"", "username=bob");
        edit("no realm", "realm=\"zk-sasl-md5\",", "");
        edit("another realm", "realm=\"zk-sasl-md5\"", "realm=\"elsewhere\"");
        edit("realm in upper case", "realm=\"zk-sasl-md5\"", "realm=\"ZK-SASL-MD5\"");
        run("another realm throughout", r -> { r.realm = "elsewhere"; return u(r.text(new String(r.hash()))); });
        run("empty realm throughout", r -> { r.realm = ""; return u(r.text(new String(r.hash()))); });
        run("another nonce", r -> { r.nonce = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"; return u(r.text(new String(r.hash()))); });
        run("no nonce", r -> u(r.text(new String(r.hash())).replace("nonce=\"" + r.nonce + "\",", "")));
        edit("no cnonce", "cnonce=\"abcdefGHIJ+/0123456789\",", "");
        edit("another cnonce", "cnonce=\"abcdefGHIJ+/0123456789\"", "cnonce=\"x\"");
        run("empty cnonce", r -> { r.cnonce = ""; return u(r.text(new String(r.hash()))); });
        edit("no nc", "nc=00000001,", "");
        edit("nc 1", "nc=00000001", "nc=1");
        edit("nc quoted", "nc=00000001", "nc=\"00000001\"");
        edit("nc 2 beside a hash of 1", "nc=00000001", "nc=00000002");
        run("nc 2 throughout", r -> { r.nc = "00000002"; return u(r.text(new String(r.hash()))); });
        edit("nc no number", "nc=00000001", "nc=one");
        edit("nc with a sign", "nc=00000001", "nc=+1");
        edit("nc longer", "nc=00000001", "nc=000000000001");
        edit("no qop", ",qop=auth", "");
        edit("qop quoted", "qop=auth", "qop=\"auth\"");
        run("qop auth-int", r -> { r.qop = "auth-int"; return u(r.text(new String(r.hash()))); });
        run("qop unknown", r -> { r.qop = "other"; return u(r.text(new String(r.hash()))); });
        edit("no digest-uri", "digest-uri=\"zookeeper/zk-sasl-md5\",", "");
        for (String uri : new String[]{"zookeeper/elsewhere", "other/zk-sasl-md5", "zookeeper/zk-sasl-md5/zk", "ZooKeeper/ZK-SASL-MD5", "zookeeper", "zookeeper/", "zookeeper/zk-sasl-md5/", "zookeeper/zk-sasl-md5x", "/zk-sasl-md5", "", "zookeeper/zk-sasl-md5/a/b", "zookeeper/x/zk-sasl-md5", "ZOOKEEPER/zk-sasl-md5/zk"})
            run("digest-uri " + uri, r -> { r.uri = uri; return u(r.text(new String(r.hash()))); });
        edit("no response", "response=", "other=");
        run("response in upper case", r -> u(r.text(new String(r.hash()).toUpperCase())));
        run("response quoted", r -> u(r.text("\"" + new String(r.hash()) + "\"")));
        run("response cut short", r -> u(r.text(new String(r.hash()).substring(0, 31))));
        run("response longer", r -> u(r.text(new String(r.hash()) + "0")));
        run("response empty", r -> u(r.text("")));
        run("empty authzid", r -> { r.authzid = ""; return u(r.text(new String(r.hash()))); });
        run("authzid beside a hash without", r -> u(r.text(new String(r.hash())) + ",authzid=\"bob\""));
        edit("username twice", "username=\"bob\"", "username=\"bob\",username=\"bob\"");
        edit("realm twice", "realm=\"zk-sasl-md5\"", "realm=\"zk-sasl-md5\",realm=\"zk-sasl-md5\"");
        edit("realm twice, the second another", "realm=\"zk-sasl-md5\"", "realm=\"zk-sasl-md5\",realm=\"other\"");
        edit("realm twice, the first another", "realm=\"zk-sasl-md5\"", "realm=\"other\",realm=\"zk-sasl-md5\"");
        edit("nonce twice", "nonce=\"$".substring(0, 7), "nonce=\"x\",nonce=\"");
        edit("charset twice", "charset=utf-8", "charset=utf-8,charset=utf-8");
        edit("an unknown directive", "charset=utf-8", "charset=utf-8,color=\"blue\"");
        edit("an unknown directive twice", "charset=utf-8", "color=1,color=2,charset=utf-8");
        edit("a trailing comma", ",qop=auth", ",qop=auth,");
        edit("empty elements", ",qop=auth", ",,,qop=auth");
        edit("a leading comma", "charset=utf-8", ",charset=utf-8");
        edit("spaces around commas", ",", " , ");
        edit("line breaks and tabs", ",", ",\r\n\t");
        edit("spaces around equals", "=", " = ");
        edit("a leading space", "charset=utf-8", " charset=utf-8");
        edit("space in a name", "charset=utf-8", "char set=utf-8");
        edit("space in a token", "qop=auth", "qop=au th");
        edit("trailing space", "qop=auth", "qop=auth ");
        edit("upper case names", "username=", "USERNAME=");
        edit("a name without a value", "qop=auth", "qop");
        edit("an empty value", "qop=auth", "qop=");
        edit("a value without a name", "qop=auth", "=auth");
        edit("no closing quote", "qop=auth", "qop=\"auth");
        edit("no closing quote behind a backslash", "qop=auth", "qop=\"auth\\");
        edit("text behind a quote", "qop=auth", "qop=\"auth\"x");
        edit("a quote inside a token", "qop=auth", "qop=au\"th\"");
        edit("escapes", "qop=auth", "qop=\"\\a\\u\\th\"");
        edit("a quote in a name", "qop=auth", "\"qop\"=auth");
        edit("an escaped name", "username=\"bob\"", "username=\"\\b\\o\\b\"");
        edit("semicolons", ",", ";");
        edit("trailing garbage", "qop=auth", "qop=auth\u0000");
        run("nothing", r -> new byte[0]);
        run("a comma", r -> u(","));
        run("no equals sign", r -> u("hello"));
        run("4096 bytes", r -> u(pad(r, 4096)));
        run("4097 bytes", r -> u(pad(r, 4097)));
        run("username in latin 1", r -> { r.user = "J\u00fcrgen"; r.pass = "gr\u00fcn"; return r.text(new String(r.hash())).replace("charset=utf-8,", "").getBytes(StandardCharsets.ISO_8859_1); });
        run("username in utf-8, hashes in utf-8", r -> { r.user = "J\u00fcrgen"; r.pass = "gr\u00fcn"; r.utf8 = false; return u(r.text(new String(r.hash()))); });
        run("username in utf-8, no charset, hash of latin 1", r -> { r.user = "J\u00fcrgen"; r.pass = "gr\u00fcn"; return u(r.text(new String(r.hash())).replace("charset=utf-8,", "")); });
    }
    static String pad(R r, int n) throws Exception {
        String t = r.text(new String(r.hash())) + ",pad=\"";
        StringBuilder s = new StringBuilder(t);
        while (s.length() < n - 1) s.append('x');
        return s.append('"').toString();
    }
}
