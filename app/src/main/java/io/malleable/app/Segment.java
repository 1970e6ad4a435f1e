package io.malleable.app;

import io.malleable.control.Control;
import io.malleable.netboot.BootListener;
import io.malleable.netboot.DhcpConfig;
import io.malleable.netboot.DhcpDirectory;
import io.malleable.netboot.LoaderDirectory;
import io.malleable.netboot.MacAddress;
import io.malleable.netboot.SegmentServices;
import io.malleable.netboot.TftpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.Optional;

/** What the server does on the machines' own segment, where it is asked for: DHCP and TFTP. */
final class Segment implements AutoCloseable {
  private final StopStack started;

  private Segment(StopStack started) {
    this.started = started;
  }

  /**
   * Starts what the settings ask for.
   *
   * @param bootHttpPort of the boot listener
   * @param leases file of the leases
   */
  static Segment start(
      Settings settings, Control control, BootListener listener, int bootHttpPort, Path leases)
      throws StartException {
    StopStack started = new StopStack();
    try {
      if (settings.dhcp().isPresent()) {
        dhcp(settings.dhcp().get(), control, listener, bootHttpPort, leases, started);
      }
      if (settings.tftp().isPresent()) {
        tftp(settings, settings.tftp().get(), listener, bootHttpPort, started);
      }
      return new Segment(started);
    } catch (StartException | RuntimeException e) {
      started.close();
      throw e;
    }
  }

  private static void dhcp(
      Settings.Dhcp dhcp,
      Control control,
      BootListener listener,
      int bootHttpPort,
      Path leases,
      StopStack started)
      throws StartException {
    DhcpDirectory directory = mac -> host(control, mac);
    try {
      DhcpConfig config =
          SegmentServices.onInterface(
              dhcp.interfaceName(),
              dhcp.pool().isEmpty() ? DhcpConfig.Mode.PROXY : DhcpConfig.Mode.SERVER,
              dhcp.pool(),
              bootHttpPort);
      started.push(
          "DHCP",
          SegmentServices.start(config, directory, listener, InstantSource.system(), leases));
    } catch (IOException | IllegalArgumentException e) {
      throw new StartException(
          "--dhcp: cannot serve " + dhcp.interfaceName() + ": " + e.getMessage(),
          "DHCP needs root (or CAP_NET_BIND_SERVICE and CAP_NET_RAW) and an interface with an IPv4"
              + " address; see docs/network.md",
          e);
    }
  }

  private static Optional<DhcpDirectory.Host> host(Control control, MacAddress mac) {
    return control
        .nodes()
        .ofMac(new io.malleable.control.MacAddress(mac.toString()))
        .map(node ->
            new DhcpDirectory.Host(node.name(), Optional.empty(), Optional.of(node.name())));
  }

  private static void tftp(
      Settings settings, HostPort at, BootListener listener, int bootHttpPort, StopStack started)
      throws StartException {
    LoaderDirectory loaders =
        settings.loaders().map(LoaderDirectory::of).orElseGet(LoaderDirectory::ofDistribution);
    try {
      InetSocketAddress address = at.resolve();
      started.push("TFTP", TftpServer.start(address, loaders, bootHttpPort, listener));
    } catch (IOException e) {
      throw new StartException(
          String.valueOf(e.getMessage()), "ports below 1024 need root or CAP_NET_BIND_SERVICE", e);
    }
  }

  @Override
  public void close() {
    started.close();
  }
}
