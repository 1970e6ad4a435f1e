package io.malleable.iscsi;

import java.io.IOException;
import java.lang.System.Logger.Level;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import org.jspecify.annotations.Nullable;

/** Listens on one portal, with a thread of its own. */
final class Acceptor implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(Acceptor.class.getName());

  /** A rack that powers on connects all at once. */
  private static final int BACKLOG = 1024;

  /** After a failure such as "too many open files". */
  private static final long RETRY_MILLIS = 100;

  @FunctionalInterface
  interface Handler {
    void accept(SocketChannel channel, Portal portal) throws IOException;
  }

  private final ServerSocketChannel channel;
  private final Portal portal;
  private final Handler handler;
  private final Thread thread;

  Acceptor(Portal wanted, Handler handler) throws IOException {
    this.handler = handler;
    this.channel = ServerSocketChannel.open();
    try {
      channel.setOption(StandardSocketOptions.SO_REUSEADDR, true);
      channel.bind(wanted.address(), BACKLOG);
      this.portal = new Portal((InetSocketAddress) channel.getLocalAddress(), wanted.groupTag());
    } catch (IOException e) {
      channel.close();
      throw new IOException("cannot listen on " + wanted.address() + ": " + e.getMessage(), e);
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

  private void run() {
    while (channel.isOpen()) {
      SocketChannel accepted = null;
      try {
        accepted = channel.accept();
        handler.accept(accepted, portal);
      } catch (ClosedChannelException e) {
        LOG.log(Level.DEBUG, "portal {0} closed", portal.address());
      } catch (IOException | RuntimeException | OutOfMemoryError e) {
        LOG.log(Level.WARNING, "portal " + portal.address() + " could not take a connection", e);
        discard(accepted);
        pause();
      }
    }
  }

  private static void discard(@Nullable SocketChannel accepted) {
    if (accepted != null) {
      try {
        accepted.close();
      } catch (IOException e) {
        LOG.log(Level.DEBUG, "closing a connection failed", e);
      }
    }
  }

  private void pause() {
    try {
      Thread.sleep(RETRY_MILLIS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
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
