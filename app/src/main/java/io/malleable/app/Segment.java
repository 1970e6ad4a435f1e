package io.malleable.app;

import io.malleable.control.Control;
import io.malleable.netboot.BootListener;
import io.malleable.netboot.DhcpConfig;
import io.malleable.netboot.DhcpDirectory;
import io.malleable.netboot.ExternalDhcp;
import io.malleable.netboot.LoaderDirectory;
import io.malleable.netboot.RouterAdvertiser;
import io.malleable.netboot.SegmentServices;
import io.malleable.netboot.TftpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.List;

/** What the server does on the machines' own segment, where it is asked for: DHCP and TFTP. */
final class Segment implements AutoCloseable {
  private final StopStack started;
  private final String notice;

  private Segment(StopStack started, String notice) {
    this.started = started;
    this.notice = notice;
  }

  /**
   * Starts what the settings ask for.
   *
   * @param bootHttpPort of the boot listener
   */
  static Segment start(
      Settings settings,
      Control control,
      BootListener listener,
      int bootHttpPort,
      Descriptors descriptors)
      throws StartException {
    StopStack started = new StopStack();
    String notice = "";
    try {
      if (settings.dhcp().isPresent()) {
        Path leases = settings.data().resolve("dhcp-leases");
        notice = dhcp(settings.dhcp().get(), control, listener, bootHttpPort, leases, started);
      }
      if (settings.tftp().isPresent()) {
        TftpServer tftp =
            tftp(settings, settings.tftp().get(), listener, bootHttpPort, descriptors.budget());
        started.push("TFTP", tftp);
        descriptors.onListening("tftp", descriptors.budget().tftp(), tftp::transferCount);
      }
      return new Segment(started, notice);
    } catch (StartException | RuntimeException e) {
      started.close();
      throw e;
    }
  }

  private static String dhcp(
      Settings.Dhcp dhcp,
      Control control,
      BootListener listener,
      int bootHttpPort,
      Path leases,
      StopStack started)
      throws StartException {
    try {
      DhcpConfig config =
          SegmentServices.onInterface(
                  dhcp.interfaceName(),
                  dhcp.mode() == Settings.DhcpMode.SERVER
                      ? DhcpConfig.Mode.SERVER
                      : DhcpConfig.Mode.PROXY,
                  dhcp.pool(),
                  bootHttpPort)
              .withLink(dhcp.routers(), dhcp.dnsServers())
              .withRelayed(dhcp.relayed());
      DhcpDirectory directory = new NodesOfDhcp(control.nodes());
      if (dhcp.mode() == Settings.DhcpMode.EXTERNAL) {
        started.push(
            "router advertiser",
            RouterAdvertiser.start(
                dhcp.interfaceName(), directory, config.strangers(), InstantSource.system()));
        return notice(new ExternalDhcp(config.serverAddress(), bootHttpPort, config.loaders()));
      }
      started.push(
          "DHCP",
          SegmentServices.start(config, directory, listener, InstantSource.system(), leases));
      return "";
    } catch (IOException | IllegalArgumentException e) {
      throw new StartException(
          "--dhcp: cannot serve " + dhcp.interfaceName() + ": " + e.getMessage(),
          "DHCP needs root (or CAP_NET_BIND_SERVICE and CAP_NET_RAW) and an interface with an IPv4"
              + " address; see docs/network.md",
          e);
    }
  }

  private static String notice(ExternalDhcp settings) {
    return """
    Your DHCP server has to send machines here. For dnsmasq, a file in /etc/dnsmasq.d:
    %s
    For ISC Kea, in Dhcp4:
    %s
    """
        .formatted(settings.dnsmasq().indent(2), settings.kea().indent(2));
  }

  private static TftpServer tftp(
      Settings settings,
      HostPort at,
      BootListener listener,
      int bootHttpPort,
      DescriptorBudget budget)
      throws StartException {
    LoaderDirectory loaders =
        settings.loaders().map(LoaderDirectory::of).orElseGet(LoaderDirectory::ofDistribution);
    List<String> missing = loaders.missing();
    if (!missing.isEmpty()) {
      throw new StartException(
          "--tftp: boot loaders are not in "
              + loaders.directory()
              + ": "
              + String.join(", ", missing),
          "install Debian's package ipxe, or name the directory that has them with --loaders",
          null);
    }
    try {
      InetSocketAddress address = at.resolve();
      return TftpServer.start(address, loaders, bootHttpPort, listener, budget.tftp());
    } catch (IOException e) {
      throw new StartException(
          String.valueOf(e.getMessage()), "ports below 1024 need root or CAP_NET_BIND_SERVICE", e);
    }
  }

  /** What the operator of another DHCP server has to set there; empty for nothing. */
  String notice() {
    return notice;
  }

  @Override
  public void close() {
    started.close();
  }
}
