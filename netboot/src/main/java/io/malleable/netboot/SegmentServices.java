package io.malleable.netboot;

import io.malleable.netboot.DhcpConfig.Mode;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.net.Inet4Address;
import java.net.InterfaceAddress;
import java.net.NetworkInterface;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What one interface needs for machines to boot on it: DHCP or ProxyDHCP, and the answer that no
 * IPv6 router is there.
 */
public final class SegmentServices implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(SegmentServices.class.getName());

  private final DhcpConfig config;
  private final DhcpServer dhcp;
  private final @Nullable RouterAdvertiser advertiser;

  private SegmentServices(
      DhcpConfig config, DhcpServer dhcp, @Nullable RouterAdvertiser advertiser) {
    this.config = config;
    this.dhcp = dhcp;
    this.advertiser = advertiser;
  }

  /**
   * Serves until {@link #close()}.
   *
   * @param leaseFile created when it is not there
   * @throws IOException names what is in the way, such as missing privileges; a missing answer for
   *     IPv6 is none, since machines boot without it
   */
  public static SegmentServices start(
      DhcpConfig config,
      DhcpDirectory directory,
      BootListener listener,
      InstantSource clock,
      Path leaseFile)
      throws IOException {
    DhcpServer dhcp = DhcpServer.start(config, directory, listener, clock, leaseFile);
    RouterAdvertiser advertiser = null;
    try {
      advertiser =
          RouterAdvertiser.start(config.interfaceName(), directory, config.strangers(), clock);
    } catch (IOException e) {
      LOG.log(
          Level.WARNING,
          "{0}; machines will wait 14 s for an IPv6 router on {1}",
          e.getMessage(),
          config.interfaceName());
    }
    return new SegmentServices(config, dhcp, advertiser);
  }

  /**
   * The usual settings for an interface, from the address that it has.
   *
   * @param pool server mode: for nodes without an address of their own; empty: the upper half of
   *     the interface's network
   * @throws IOException when there is no such interface or it has no IPv4 address
   */
  public static DhcpConfig onInterface(
      String interfaceName, Mode mode, Optional<DhcpSubnet.Range> pool, int bootHttpPort)
      throws IOException {
    NetworkInterface card = NetworkInterface.getByName(interfaceName);
    if (card == null) {
      throw new IOException("there is no network interface " + interfaceName);
    }
    for (InterfaceAddress address : card.getInterfaceAddresses()) {
      if (address.getAddress() instanceof Inet4Address ipv4) {
        Ipv4 server = Ipv4.of(ipv4);
        if (mode == Mode.PROXY) {
          return DhcpConfig.proxy(interfaceName, server, bootHttpPort);
        }
        DhcpSubnet subnet =
            new DhcpSubnet(
                server,
                address.getNetworkPrefixLength(),
                Optional.empty(),
                List.of(),
                List.of(),
                Optional.empty());
        return DhcpConfig.server(
            interfaceName,
            server,
            List.of(subnet.withPool(pool.orElseGet(subnet::upperHalf))),
            bootHttpPort);
      }
    }
    throw new IOException(
        interfaceName
            + " has no IPv4 address; give it one, for example: ip address add 10.1.0.1/16"
            + " dev "
            + interfaceName);
  }

  public DhcpConfig config() {
    return config;
  }

  public DhcpCounters counters() {
    return dhcp.counters();
  }

  @Override
  public void close() throws IOException {
    if (advertiser == null) {
      dhcp.close();
      return;
    }
    try {
      advertiser.close();
    } finally {
      dhcp.close();
    }
  }
}
