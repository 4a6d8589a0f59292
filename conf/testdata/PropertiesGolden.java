// Writes properties.golden: what java.util.Properties makes of many small files.
// Run in this directory: java PropertiesGolden.java > properties.golden

import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.util.Properties;
import java.util.Random;
import java.util.TreeMap;

public class PropertiesGolden {
    static final String[] CRAFTED = {
        "", "\n\n", "a=b", "a:b", "a b", "a\tb", "a\fb", "a = b", "a : b", "a  b  ", "a==b", "a=:b", "a= =b", "a :=b",
        "a", "a=", "=b", ":", "#c\na=b", "!c\na=b", "  # c\n  a=b", "a=b#c", "a#b=c", "a=b\\\n  c", "a=b\\\r\n  c",
        "a=b\\\rc", "a=b\\\\\nc=d", "a=b\\\\\\\nc=d", "a=b\\\n# no comment", "\\\n# a comment\na=b", "# c\\\na=b",
        "a=b\\", "a=\\", "\\", "\\\n", "\\\r\n", "\\\r", "a\\=b=c", "a\\:b=c", "a\\ b=c", "a\\\tb=c", "a=\\ b", "a=C:\\data\\new",
        "a=\\t\\n\\r\\f\\x\\\"", "a=\\u0041\\u00e9\\u20ac", "a=\\uD83D\\uDE00", "a=\\u00g1", "a=\\u004", "a\\u003Db=c",
        "a=\u00e9\u00ff", "\u00e9=a", "a=1\na=2", "a=b\rc=d\r\ne=f\n\rg=h", "  a=b", "\f a=b", "a=b\\\n\nc=d",
        "a=b\\\n   \\\n  c", "a\\\n  b=c", "a\\\n=b", "server.1=h:2888:3888", "server.1 = [::1]:2888:3888;2181",
        "tickTime 2000", "a=\u0001b\u0001", "a=b \\", "a\u0000=b", "a=b\n#", "!", "a=\\u", "\\u=b", "a\\",
    };

    public static void main(String[] args) throws Exception {
        for (String c : CRAFTED) {
            emit(c);
        }
        String alphabet = "ab=: \t\f\\\\\\\n\n\r#!u04\u00e9";
        Random random = new Random(1);
        for (int i = 0; i < 1500; i++) {
            StringBuilder b = new StringBuilder();
            for (int n = random.nextInt(16); n >= 0; n--) {
                b.append(alphabet.charAt(random.nextInt(alphabet.length())));
            }
            emit(b.toString());
        }
    }

    static void emit(String in) throws Exception {
        StringBuilder line = new StringBuilder("{\"in\":").append(quote(in));
        Properties p = new Properties();
        try {
            p.load(new ByteArrayInputStream(in.getBytes(StandardCharsets.ISO_8859_1)));
        } catch (IllegalArgumentException e) {
            System.out.println(line.append(",\"err\":").append(quote(e.getMessage())).append("}"));
            return;
        }
        TreeMap<String, String> out = new TreeMap<>();
        for (String key : p.stringPropertyNames()) {
            if (out.put(key.trim(), p.getProperty(key).trim()) != null) {
                return; // which one wins is an accident of hashing
            }
        }
        line.append(",\"out\":{");
        String comma = "";
        for (String key : out.keySet()) {
            line.append(comma).append(quote(key)).append(":").append(quote(out.get(key)));
            comma = ",";
        }
        System.out.println(line.append("}}"));
    }

    static String quote(String s) {
        StringBuilder b = new StringBuilder("\"");
        for (char c : s.toCharArray()) {
            if (c == '"' || c == '\\') {
                b.append('\\').append(c);
            } else if (c < ' ' || c > '~') {
                b.append(String.format("\\u%04x", (int) c));
            } else {
                b.append(c);
            }
        }
        return b.append('"').toString();
    }
}
