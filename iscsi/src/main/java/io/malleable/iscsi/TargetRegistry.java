package io.malleable.iscsi;

import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/** What connections need to know of the server: targets by name, portals, handles. Thread-safe. */
final class TargetRegistry {
  private final ConcurrentHashMap<String, Target> targets = new ConcurrentHashMap<>();
  private final AtomicInteger nextTsih = new AtomicInteger();
  private final AtomicLong authenticationFailures = new AtomicLong();
  private volatile List<Portal> openPortals = List.of();

  @Nullable Target find(String name) {
    return targets.get(name);
  }

  /** False when there is a target of that name already. */
  boolean add(Target target) {
    return targets.putIfAbsent(target.name(), target) == null;
  }

  void remove(Target target) {
    targets.remove(target.name(), target);
  }

  Collection<Target> targets() {
    return targets.values();
  }

  /** A target session identifying handle: 16 bits, not zero (RFC 7143 11.12.6). */
  int nextTsih() {
    return 1 + Math.floorMod(nextTsih.getAndIncrement(), 0xffff);
  }

  void countAuthenticationFailure() {
    authenticationFailures.incrementAndGet();
  }

  long authenticationFailures() {
    return authenticationFailures.get();
  }

  void open(List<Portal> portals) {
    openPortals = List.copyOf(portals);
  }

  /**
   * Values of TargetAddress: the portals of the group that this initiator has reached. Those of
   * another group may be in a network where it has no interface, and initiators try all that they
   * are told of, for minutes each. A portal on the wildcard address is told by the address at which
   * the initiator has reached us.
   */
  List<String> addressesFor(Connection connection) {
    InetSocketAddress local = connection.localAddress();
    Set<String> addresses = new LinkedHashSet<>();
    int group = connection.portal().groupTag();
    addresses.add(format(local.getAddress(), local.getPort(), group));
    for (Portal portal : openPortals) {
      if (portal.groupTag() != group) {
        continue;
      }
      InetAddress address = portal.address().getAddress();
      if (address.isAnyLocalAddress()) {
        address = local.getAddress();
      }
      addresses.add(format(address, portal.address().getPort(), portal.groupTag()));
    }
    return new ArrayList<>(addresses);
  }

  private static String format(InetAddress address, int port, int groupTag) {
    String host = address.getHostAddress();
    int zone = host.indexOf('%');
    host = zone < 0 ? host : host.substring(0, zone);
    host = address instanceof Inet6Address ? "[" + host + "]" : host;
    return host + ":" + port + "," + groupTag;
  }
}
