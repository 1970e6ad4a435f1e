package io.malleable.app;

import io.malleable.server.AccessToken;
import io.malleable.server.ApiServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * All of one server, wired by hand.
 *
 * <p>The order of the start is what a running machine relies on: its target is defined before the
 * portal opens, or its session would be told that there is no such target and give up.
 */
final class M2Server implements AutoCloseable {
  private final StopStack started;
  private final Addresses addresses;
  private final AtomicBoolean ready;

  private M2Server(StopStack started, Addresses addresses, AtomicBoolean ready) {
    this.started = started;
    this.addresses = addresses;
    this.ready = ready;
  }

  static M2Server start(Settings settings) throws StartException, IOException {
    StopStack started = new StopStack();
    try {
      return start(settings, started);
    } catch (StartException | IOException | RuntimeException e) {
      started.close();
      throw e;
    }
  }

  private static M2Server start(Settings settings, StopStack started)
      throws StartException, IOException {
    DataDirectory data = started.push("data directory", DataDirectory.open(settings.data()));
    AtomicBoolean ready = new AtomicBoolean();
    InetSocketAddress http = resolve("http", settings.http());
    AccessToken token = new AccessToken(data.adminToken());
    ApiServer api = started.push("API", ApiServer.start(http, token, ready::get));
    Addresses addresses =
        new Addresses(settings.http().withPort(api.port()), settings.bootHttp(), settings.iscsi());
    started.push("run file", RunFile.write(data, addresses));
    ready.set(true);
    return new M2Server(started, addresses, ready);
  }

  Addresses addresses() {
    return addresses;
  }

  static String version() {
    String version = M2Server.class.getPackage().getImplementationVersion();
    return version == null ? "development" : version;
  }

  @Override
  public void close() {
    ready.set(false);
    started.close();
  }

  private static InetSocketAddress resolve(String flag, HostPort at) throws StartException {
    try {
      return at.resolve();
    } catch (IOException e) {
      throw new StartException(
          "--" + flag + ": the host " + at.host() + " is not known",
          "give an address of this machine",
          e);
    }
  }
}
