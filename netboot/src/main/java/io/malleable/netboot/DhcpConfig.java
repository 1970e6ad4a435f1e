package io.malleable.netboot;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Settings of the DHCP server.
 *
 * @param interfaceName the segment to serve; the sockets are bound to it
 * @param serverAddress our address there: option 54, {@code siaddr} and the host in URLs
 * @param subnets what may be leased, the segment's own and those behind relays; empty in proxy mode
 * @param bootHttpPort port of the boot listener on {@code serverAddress}
 * @param loaders file names for the kinds of firmware
 */
public record DhcpConfig(
    String interfaceName,
    Mode mode,
    Ipv4 serverAddress,
    List<DhcpSubnet> subnets,
    Duration lease,
    Strangers strangers,
    int bootHttpPort,
    LoaderNames loaders,
    Ports ports) {

  /** How this server shares the segment. */
  public enum Mode {
    /** We hand out addresses and boot files. */
    SERVER,
    /** Somebody else hands out addresses, we add the boot file. */
    PROXY
  }

  /** What machines get that nobody has told us about. */
  public enum Strangers {
    IGNORE,
    SERVE
  }

  public DhcpConfig {
    if (!interfaceName.matches("[^\\s/:]{1,15}")) {
      throw new IllegalArgumentException("not the name of an interface: " + interfaceName);
    }
    subnets = List.copyOf(subnets);
    if (lease.compareTo(Duration.ofMinutes(2)) < 0 || lease.compareTo(Duration.ofDays(365)) > 0) {
      throw new IllegalArgumentException("lease must be 2 min to 365 days: " + lease);
    }
    if (mode == Mode.SERVER && subnets.isEmpty()) {
      throw new IllegalArgumentException(
          "DHCP server mode needs a subnet, for example 10.1.0.0/16");
    }
  }

  /** Server mode with usual settings. */
  public static DhcpConfig server(
      String interfaceName, Ipv4 serverAddress, List<DhcpSubnet> subnets, int bootHttpPort) {
    return of(interfaceName, Mode.SERVER, serverAddress, subnets, bootHttpPort);
  }

  /** Proxy mode with usual settings. */
  public static DhcpConfig proxy(String interfaceName, Ipv4 serverAddress, int bootHttpPort) {
    return of(interfaceName, Mode.PROXY, serverAddress, List.of(), bootHttpPort);
  }

  private static DhcpConfig of(
      String interfaceName,
      Mode mode,
      Ipv4 serverAddress,
      List<DhcpSubnet> subnets,
      int bootHttpPort) {
    return new DhcpConfig(
        interfaceName,
        mode,
        serverAddress,
        subnets,
        Duration.ofHours(12),
        Strangers.IGNORE,
        bootHttpPort,
        LoaderNames.usual(),
        Ports.standard());
  }

  public DhcpConfig withStrangers(Strangers other) {
    return new DhcpConfig(
        interfaceName, mode, serverAddress, subnets, lease, other, bootHttpPort, loaders, ports);
  }

  /**
   * The same, with what machines on the interface's own network are told of it.
   *
   * @param routers and DNS servers, at most 8 of each
   */
  public DhcpConfig withLink(List<Ipv4> routers, List<Ipv4> dnsServers) {
    return withSubnets(
        subnets.stream()
            .map(s ->
                new DhcpSubnet(
                    s.network(), s.prefixBits(), s.pool(), routers, dnsServers, s.domain()))
            .toList());
  }

  /** The same, with further networks, whose relay agents ask us. */
  public DhcpConfig withRelayed(List<DhcpSubnet> further) {
    List<DhcpSubnet> all = new ArrayList<>(subnets);
    all.addAll(further);
    return withSubnets(all);
  }

  private DhcpConfig withSubnets(List<DhcpSubnet> other) {
    return new DhcpConfig(
        interfaceName, mode, serverAddress, other, lease, strangers, bootHttpPort, loaders, ports);
  }

  /** The same on other ports, for tests without privileges. */
  public DhcpConfig withPorts(Ports other) {
    return new DhcpConfig(
        interfaceName,
        mode,
        serverAddress,
        subnets,
        lease,
        strangers,
        bootHttpPort,
        loaders,
        other);
  }

  String httpBase() {
    return "http://" + serverAddress + ":" + bootHttpPort;
  }

  /** The subnet that an address belongs to. */
  Optional<DhcpSubnet> subnetOf(Ipv4 address) {
    return subnets.stream().filter(subnet -> subnet.contains(address)).findFirst();
  }

  /**
   * Loader file names.
   *
   * @param uefi64 for x86-64
   */
  public record LoaderNames(String bios, String uefi64, String uefiArm64) {
    public LoaderNames {
      for (String name : List.of(bios, uefi64, uefiArm64)) {
        if (!LoaderDirectory.isLoader(name)) {
          throw new IllegalArgumentException("not the name of a boot loader: " + name);
        }
      }
    }

    public static LoaderNames usual() {
      return new LoaderNames("undionly.kpxe", "ipxe.efi", "ipxe-arm64.efi");
    }
  }

  /** UDP ports; others than the standard's are for tests without privileges. */
  public record Ports(int server, int client, int proxy) {
    public static Ports standard() {
      return new Ports(67, 68, 4011);
    }
  }
}
