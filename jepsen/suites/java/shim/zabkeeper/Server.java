package zabkeeper;

import java.io.File;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import javax.security.auth.login.AppConfigurationEntry;
import javax.security.auth.login.Configuration;

/**
 * One zabkeeper process: the binary that the system property zabkeeper.binary names, started with a zoo.cfg, and
 * with the settings that a test made by system properties, as -D flags.
 */
public final class Server {
    private static final Set<Process> running = ConcurrentHashMap.newKeySet();

    static {
        Runtime.getRuntime().addShutdownHook(new Thread(() -> running.forEach(Process::destroyForcibly)));
    }

    private final Process process;

    private Server(Process process) {
        this.process = process;
        running.add(process);
    }

    /** Starts a server; directory takes the configuration and the log, and exists. */
    public static Server start(File directory, Map<String, String> settings) throws IOException {
        Map<String, String> zoo = new TreeMap<>(settings);
        StringBuilder flags = new StringBuilder();
        System.getProperties().stringPropertyNames().stream().sorted()
                .filter(k -> k.startsWith("zookeeper.") || k.startsWith("znode.") || k.startsWith("jute.") || k.equals("java.security.auth.login.config")
                        || k.equals("readonlymode.enabled"))
                .filter(k -> !k.equals("zookeeper.serverCnxnFactory"))
                // The parser in the test's process leaves these of other servers behind.
                .filter(k -> !k.matches("zookeeper\\.(server|group|weight)\\..*"))
                .forEach(k -> {
                    String value = System.getProperty(k);
                    if (value.contains(" ")) { // flags are split at spaces
                        zoo.putIfAbsent(k.replaceFirst("^zookeeper\\.", ""), value);
                    } else {
                        flags.append("-D").append(k).append('=').append(value).append(' ');
                    }
                });
        if (System.getProperty("java.security.auth.login.config") == null && writeUsers(new File(directory, "jaas.conf"))) {
            flags.append("-Djava.security.auth.login.config=").append(directory).append("/jaas.conf ");
        }

        StringBuilder config = new StringBuilder();
        zoo.forEach((k, v) -> config.append(k).append('=').append(v).append('\n'));
        File file = new File(directory, "zabkeeper.cfg");
        Files.writeString(file.toPath(), config);

        ProcessBuilder builder = new ProcessBuilder(
                System.getProperty("zabkeeper.binary"), "server", "--log-level", "warn", file.getPath());
        builder.environment().put("SERVER_JVMFLAGS", flags.toString().trim());
        builder.redirectErrorStream(true);
        builder.redirectOutput(ProcessBuilder.Redirect.appendTo(new File(System.getProperty("zabkeeper.log"))));
        // The script counts the lines: a suite that passes without our servers has tested something else.
        Files.writeString(Path.of(System.getProperty("zabkeeper.starts")), file + "\n",
                StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        return new Server(builder.start());
    }

    /** Writes the users that a test has set without a file; false if it has not. */
    private static boolean writeUsers(File file) throws IOException {
        String section = System.getProperty("zookeeper.sasl.serverconfig", "Server");
        AppConfigurationEntry[] entries;
        try {
            entries = Configuration.getConfiguration().getAppConfigurationEntry(section);
        } catch (SecurityException e) {
            return false; // there is no configuration at all
        }
        if (entries == null) {
            return false;
        }
        StringBuilder text = new StringBuilder(section).append(" {\n");
        for (AppConfigurationEntry e : entries) {
            text.append(e.getLoginModuleName()).append(" required");
            e.getOptions().forEach((k, v) -> text.append(' ').append(k).append("=\"").append(v).append('"'));
            text.append(";\n");
        }
        Files.writeString(file.toPath(), text.append("};\n"));
        return true;
    }

    /** A port that was free a moment ago. */
    public static int freePort() throws IOException {
        try (ServerSocket s = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return s.getLocalPort();
        }
    }

    /** Waits until the server accepts connections; an IOException says that it does not. */
    public void awaitListening(int port) throws IOException {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
        while (true) {
            try (Socket ignored = new Socket(InetAddress.getLoopbackAddress(), port)) {
                return;
            } catch (IOException e) {
                if (!process.isAlive() || System.nanoTime() > end) {
                    throw new IOException("zabkeeper does not listen on port " + port, e);
                }
            }
            pause();
        }
    }

    /** Whether the process is there. */
    public boolean isRunning() {
        return process.isAlive();
    }

    private static void pause() throws IOException {
        try {
            Thread.sleep(10);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException(e);
        }
    }

    /** Ends the server in order. */
    public void stop() {
        process.destroy();
        gone();
    }

    /** Ends the server at once, as kill -9. */
    public void kill() {
        process.destroyForcibly();
        gone();
    }

    private void gone() {
        try {
            if (!process.waitFor(20, TimeUnit.SECONDS)) {
                process.destroyForcibly().waitFor();
            }
        } catch (InterruptedException e) {
            process.destroyForcibly();
            Thread.currentThread().interrupt();
        }
        running.remove(process);
    }
}
