import java.io.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.security.URIParameter;
import java.util.*;
import javax.security.auth.login.*;

/** Prints how the JDK reads JAAS files: cases in the input are separated by lines "----". */
public class JaasProbe {
    static String hex(String s) { StringBuilder b = new StringBuilder(); for (byte x : s.getBytes(StandardCharsets.UTF_8)) b.append(String.format("%02x", x)); return b.length() == 0 ? "\"\"" : b.toString(); }
    public static void main(String[] a) throws Exception {
        PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), true, "UTF-8");
        for (String c : new String(Files.readAllBytes(Paths.get(a[0])), StandardCharsets.UTF_8).split("----\n")) {
            Path f = Files.createTempFile("jaas", ".conf");
            Files.write(f, c.getBytes(StandardCharsets.UTF_8));
            out.print(c + "====\n");
            try {
                Configuration conf = Configuration.getInstance("JavaLoginConfig", new URIParameter(f.toUri()));
                for (String name : new String[]{"Server", "A", "B", "a b"}) {
                    AppConfigurationEntry[] es = conf.getAppConfigurationEntry(name);
                    if (es == null) continue;
                    out.println("section " + name);
                    for (AppConfigurationEntry e : es) {
                        out.println(" module " + e.getLoginModuleName() + " " + e.getControlFlag().toString().replaceAll(".*: ", ""));
                        for (String k : new TreeMap<String, Object>(e.getOptions()).keySet()) out.println("  " + hex(k) + " " + hex((String) e.getOptions().get(k)));
                    }
                }
            } catch (Exception e) { Throwable t = e; while (t.getCause() != null) t = t.getCause(); out.println("refused"); System.err.println(t.getMessage()); }
            out.println("----");
            Files.delete(f);
        }
    }
}
