package io.malleable.iscsi;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;

/** A server on loopback with two portals of different groups, on ports that the system chooses. */
final class TestServer implements AutoCloseable {
  static final String TARGET = "iqn.2026-11.io.malleable:test";
  static final String INITIATOR = "iqn.2026-11.io.malleable.node:tester";

  private final IscsiServer server;
  private final List<Portal> portals;

  private TestServer(IscsiServer server) throws IOException {
    this.server = server;
    this.portals = server.open();
  }

  static TestServer serving(LogicalUnit unit) throws IOException {
    return serving(unit, Access.open());
  }

  static TestServer serving(LogicalUnit unit, Access access) throws IOException {
    return serving(
        List.of(new TargetDefinition(TARGET, Map.of(0, unit), access)),
        ReservationStore.none(),
        new TargetListener() {},
        UnaryOperator.identity());
  }

  static TestServer serving(
      List<TargetDefinition> targets,
      ReservationStore reservations,
      TargetListener listener,
      UnaryOperator<IscsiServerConfig> bounds)
      throws IOException {
    InetSocketAddress any = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
    IscsiServerConfig config =
        bounds.apply(IscsiServerConfig.of(List.of(new Portal(any, 1), new Portal(any, 2))));
    IscsiServer server = new IscsiServer(config, reservations, listener);
    for (TargetDefinition target : targets) {
      server.define(target);
    }
    return new TestServer(server);
  }

  IscsiServer server() {
    return server;
  }

  InetSocketAddress address() {
    return portals.get(0).address();
  }

  /** Of the portal in the other group. */
  InetSocketAddress otherAddress() {
    return portals.get(1).address();
  }

  String url() {
    return url(0, "");
  }

  /**
   * A URL for libiscsi's programs.
   *
   * @param credentials empty or {@code user%secret@}
   */
  String url(int portal, String credentials) {
    int port = portals.get(portal).address().getPort();
    return "iscsi://" + credentials + "127.0.0.1:" + port + "/" + TARGET + "/0";
  }

  String portalUrl() {
    return portalUrl(0);
  }

  String portalUrl(int portal) {
    return "iscsi://127.0.0.1:" + portals.get(portal).address().getPort();
  }

  @Override
  public void close() throws IOException {
    server.close();
  }
}
