package io.malleable.iscsi;

import java.io.IOException;
import java.lang.System.Logger.Level;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import org.jspecify.annotations.Nullable;

/** Listens on one portal, with a thread of its own. */
final class Acceptor implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(Acceptor.class.getName());

  /** A rack that powers on connects all at once. */
  private static final int BACKLOG = 1024;

  /** After a failure such as "too many open files", and twice as long after each that follows. */
  private static final long RETRY_MILLIS = 100;

  private static final long MAX_RETRY_MILLIS = 5_000;

  @FunctionalInterface
  interface Handler {
    void accept(SocketChannel channel, Portal portal) throws IOException;
  }

  private final ServerSocketChannel channel;
  private final Portal portal;
  private final Handler handler;
  private final Thread thread;

  // Of the portal's thread.
  private int failures;
  private int untold;

  Acceptor(Portal wanted, Handler handler) throws IOException {
    this.handler = handler;
    this.channel = ServerSocketChannel.open();
    try {
      channel.setOption(StandardSocketOptions.SO_REUSEADDR, true);
      channel.bind(wanted.address(), BACKLOG);
      this.portal = new Portal((InetSocketAddress) channel.getLocalAddress(), wanted.groupTag());
    } catch (IOException e) {
      channel.close();
      throw new PortalException(wanted, e);
    }
    this.thread =
        Thread.ofPlatform().daemon().name("iscsi-portal " + portal.address()).unstarted(this::run);
  }

  Portal portal() {
    return portal;
  }

  void start() {
    thread.start();
  }

  /** Ends when the portal is closed and for no other reason: nobody would start it again. */
  private void run() {
    long retryMillis = RETRY_MILLIS;
    while (channel.isOpen()) {
      SocketChannel accepted = null;
      try {
        accepted = channel.accept();
        handler.accept(accepted, portal);
        if (failures > 0) {
          retryMillis = RETRY_MILLIS;
          recovered();
        }
      } catch (IOException | RuntimeException | Error e) {
        if (channel.isOpen()) {
          recover(accepted, e, retryMillis);
          pause(retryMillis);
          // What a peer can cause does not make others wait longer.
          retryMillis =
              accepted == null ? Math.min(2 * retryMillis, MAX_RETRY_MILLIS) : RETRY_MILLIS;
        }
      }
    }
  }

  private void recover(@Nullable SocketChannel accepted, Throwable failure, long retryMillis) {
    failures++;
    try {
      if (accepted != null) {
        accepted.close();
      }
      LOG.log(
          Level.WARNING,
          "portal %s could not take a connection; tries again in %d ms"
              .formatted(portal.address(), retryMillis),
          failure);
    } catch (IOException | RuntimeException | Error e) {
      // Where descriptors or memory are short, saying so may fail as well.
      untold++;
    }
  }

  private void recovered() {
    LOG.log(
        Level.WARNING,
        "portal {0} takes connections again after {1} failures, {2} of which could not be told",
        portal.address(),
        failures,
        untold);
    failures = 0;
    untold = 0;
  }

  private void pause(long millis) {
    try {
      Thread.sleep(millis);
    } catch (InterruptedException e) {
      // An interrupted thread would close the channel at the next accept; only close() may.
      LOG.log(Level.DEBUG, "portal {0} was interrupted", portal.address());
    }
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      LOG.log(Level.WARNING, "closing portal " + portal.address() + " failed", e);
    }
  }
}
