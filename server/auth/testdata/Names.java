import java.io.*;
import java.util.HexFormat;
import javax.security.auth.x500.X500Principal;

/**
 * Prints what Java makes of the DER names on its input (one a line, in hex): name, tab, its
 * RFC 2253 form as UTF-8 in hex. names.txt was written by
 *
 *     java Names.java < names-in-hex > names.txt        (OpenJDK 17.0.15)
 */
public class Names {
    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        HexFormat hex = HexFormat.of();
        for (String line; (line = in.readLine()) != null; ) {
            String name = new X500Principal(hex.parseHex(line)).getName();
            System.out.println(line + "\t" + hex.formatHex(name.getBytes("UTF-8")));
        }
    }
}
