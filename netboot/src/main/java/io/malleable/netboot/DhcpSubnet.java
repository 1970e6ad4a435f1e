package io.malleable.netboot;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * One IPv4 network that machines boot on.
 *
 * @param network any address within
 * @param prefixBits 8 to 30
 * @param pool addresses for machines without one of their own; empty: only reservations
 */
public record DhcpSubnet(
    Ipv4 network,
    int prefixBits,
    Optional<Range> pool,
    List<Ipv4> routers,
    List<Ipv4> dnsServers,
    Optional<String> domain) {

  public DhcpSubnet {
    if (prefixBits < 8 || prefixBits > 30) {
      throw new IllegalArgumentException("prefix length must be within 8..30: " + prefixBits);
    }
    routers = List.copyOf(routers);
    dnsServers = List.copyOf(dnsServers);
    if (routers.size() > 8 || dnsServers.size() > 8) {
      throw new IllegalArgumentException("at most 8 routers and 8 DNS servers for " + network);
    }
    if (domain.isPresent() && !domain.get().matches("[A-Za-z0-9.-]{1,200}")) {
      throw new IllegalArgumentException("not a domain name: " + domain.get());
    }
    int mask = -1 << (32 - prefixBits);
    network = new Ipv4(network.value() & mask);
    for (Ipv4 end : pool.map(range -> List.of(range.first(), range.last())).orElse(List.of())) {
      if ((end.value() & mask) != network.value()) {
        throw new IllegalArgumentException(
            "pool address %s is not within %s/%d".formatted(end, network, prefixBits));
      }
    }
  }

  /** Reads {@code 192.0.2.0/24}, without a pool. */
  public static Optional<DhcpSubnet> parse(String cidr) {
    int slash = cidr.indexOf('/');
    if (slash < 0 || !cidr.substring(slash + 1).matches("[12]?[0-9]|30")) {
      return Optional.empty();
    }
    int prefixBits = Integer.parseInt(cidr.substring(slash + 1));
    return Ipv4.parse(cidr.substring(0, slash))
        .filter(network -> prefixBits >= 8)
        .map(network ->
            new DhcpSubnet(
                network, prefixBits, Optional.empty(), List.of(), List.of(), Optional.empty()));
  }

  /**
   * Reads a network and what its machines get: {@code 10.2.0.0/24,pool=10.2.0.100-10.2.0.200,
   * router=10.2.0.1,dns=10.2.0.2}; all but the network may be left out, router and dns repeated.
   *
   * @throws IllegalArgumentException says what is wrong
   */
  public static DhcpSubnet read(String text) {
    String[] parts = text.split(",", -1);
    DhcpSubnet network =
        parse(parts[0])
            .orElseThrow(() ->
                new IllegalArgumentException(
                    "not a network such as 10.2.0.0/24 with 8 to 30 bits: " + parts[0]));
    Optional<Range> pool = Optional.empty();
    List<Ipv4> routers = new ArrayList<>();
    List<Ipv4> dnsServers = new ArrayList<>();
    for (String part : List.of(parts).subList(1, parts.length)) {
      String[] pair = part.split("=", 2);
      String value = pair.length == 2 ? pair[1] : "";
      switch (pair[0]) {
        case "pool" -> pool = Optional.of(Range.read(value));
        case "router" -> routers.add(Ipv4.read(value));
        case "dns" -> dnsServers.add(Ipv4.read(value));
        default ->
            throw new IllegalArgumentException("use pool=, router= or dns=, not \"" + part + "\"");
      }
    }
    return new DhcpSubnet(
        network.network(), network.prefixBits(), pool, routers, dnsServers, Optional.empty());
  }

  /** The same network with a pool. */
  public DhcpSubnet withPool(Range range) {
    return new DhcpSubnet(network, prefixBits, Optional.of(range), routers, dnsServers, domain);
  }

  /** The last half of the network's addresses, at most 65,536, without the broadcast address. */
  Range upperHalf() {
    int size = Math.min(1 << 16, 1 << (31 - prefixBits));
    int last = broadcast().value() - 1;
    return new Range(new Ipv4(last - size + 2), new Ipv4(last));
  }

  boolean contains(Ipv4 address) {
    return (address.value() & mask().value()) == network.value();
  }

  Ipv4 mask() {
    return new Ipv4(-1 << (32 - prefixBits));
  }

  Ipv4 broadcast() {
    return new Ipv4(network.value() | ~mask().value());
  }

  /** Whether a machine can have the address: neither the network's nor everybody's. */
  boolean isHost(Ipv4 address) {
    return contains(address) && !address.equals(network) && !address.equals(broadcast());
  }

  /** Addresses from first to last, both included. */
  public record Range(Ipv4 first, Ipv4 last) {
    private static final int MAX_SIZE = 1 << 20;

    public Range {
      long size = Integer.toUnsignedLong(last.value()) - Integer.toUnsignedLong(first.value()) + 1;
      if (size < 1 || size > MAX_SIZE) {
        throw new IllegalArgumentException(
            "a pool has 1 to %d addresses: %s-%s".formatted(MAX_SIZE, first, last));
      }
    }

    /**
     * Reads {@code 10.0.0.100-10.0.0.200}.
     *
     * @throws IllegalArgumentException says what is wrong
     */
    public static Range read(String text) {
      String[] ends = text.split("-", -1);
      if (ends.length != 2) {
        throw new IllegalArgumentException("use FIRST-LAST, such as 10.0.0.100-10.0.0.200");
      }
      return new Range(Ipv4.read(ends[0]), Ipv4.read(ends[1]));
    }

    int size() {
      return last.value() - first.value() + 1;
    }

    boolean contains(Ipv4 address) {
      int offset = address.value() - first.value();
      return offset >= 0 && offset < size();
    }
  }
}
