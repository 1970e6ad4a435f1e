package io.malleable.server;

import java.io.IOException;
import java.lang.System.Logger.Level;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.time.Duration;
import java.util.Comparator;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * Listens for HTTP connections on a thread of its own until it is closed, whatever fails before.
 *
 * <p>It has a budget of connections. One more takes the place of the one that has waited for its
 * next request for longest, so that who only opens connections keeps nobody out; while all are busy
 * it is closed at once.
 */
final class HttpListener implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(HttpListener.class.getName());

  private static final int BACKLOG = 1024;

  /** For the next request, and for the rest of one. */
  private static final Duration READ_TIMEOUT = Duration.ofSeconds(60);

  /** For a client to take what one call writes. */
  private static final Duration STALL_LIMIT = Duration.ofMinutes(5);

  private static final Duration STALL_LOOK = Duration.ofSeconds(5);

  /** After a failure such as "too many open files". */
  private static final Duration PAUSE = Duration.ofMillis(100);

  /** For what was cut off to notice. */
  private static final Duration END_LIMIT = Duration.ofSeconds(2);

  private static final Duration LOG_PAUSE = Duration.ofMinutes(1);

  private final ServerSocket server;
  private final int maxConnections;
  private final HttpEngine engine;
  private final Set<HttpConnection> connections = ConcurrentHashMap.newKeySet();
  private final Thread acceptor;
  private final Thread watch;
  private volatile boolean closed;

  // Owned by the acceptor.
  private long accepted;
  private long quietUntilNanos = System.nanoTime();

  private HttpListener(ServerSocket server, int maxConnections, HttpEngine engine) {
    this.server = server;
    this.maxConnections = maxConnections;
    this.engine = engine;
    this.acceptor = Thread.ofPlatform().daemon().name("http-listener").unstarted(this::acceptAll);
    this.watch = Thread.ofVirtual().name("http-stall-watch").unstarted(this::watchStalls);
  }

  /**
   * Listens.
   *
   * @throws IOException if the address cannot be bound
   */
  static HttpListener start(InetSocketAddress address, int maxConnections, HttpEngine engine)
      throws IOException {
    ServerSocket server = new ServerSocket();
    try {
      server.setReuseAddress(true);
      server.bind(address, BACKLOG);
    } catch (IOException | RuntimeException e) {
      server.close();
      throw e;
    }
    HttpListener listener = new HttpListener(server, maxConnections, engine);
    listener.acceptor.start();
    listener.watch.start();
    return listener;
  }

  int port() {
    return server.getLocalPort();
  }

  /** How many there are now. */
  int connections() {
    return connections.size();
  }

  private void acceptAll() {
    while (!closed) {
      try {
        take(server.accept());
      } catch (IOException | RuntimeException | OutOfMemoryError e) {
        if (closed) {
          return;
        }
        warn("the API could not take a connection and goes on trying", e);
        dropLongestIdle();
        pause();
      }
    }
  }

  private void take(Socket socket) throws IOException {
    try {
      if (connections.size() >= maxConnections && !dropLongestIdle()) {
        warn(
            "the API refused a connection from "
                + socket.getRemoteSocketAddress()
                + ": all "
                + maxConnections
                + " that it may have are busy",
            null);
        socket.close();
        return;
      }
      socket.setTcpNoDelay(true);
      socket.setSoTimeout(Math.toIntExact(READ_TIMEOUT.toMillis()));
      begin(new HttpConnection(socket, engine, Long.toString(++accepted), connections::remove));
    } catch (IOException | RuntimeException | OutOfMemoryError e) {
      socket.close();
      throw e;
    }
  }

  private void begin(HttpConnection connection) {
    connections.add(connection);
    try {
      connection.start();
    } catch (RuntimeException | OutOfMemoryError e) {
      connections.remove(connection);
      throw e;
    }
    if (closed) {
      connection.cut();
    }
  }

  /** Makes room for another; false when all serve a request. */
  private boolean dropLongestIdle() {
    Optional<HttpConnection> longest =
        connections.stream()
            .filter(HttpConnection::idle)
            .max(Comparator.comparingLong(HttpConnection::silentNanos));
    longest.ifPresent(connection -> {
      connection.cut();
      // Its place is free now, not when its thread has noticed.
      connections.remove(connection);
    });
    return longest.isPresent();
  }

  /** A flood must not fill the log as well. */
  private void warn(String message, @Nullable Throwable cause) {
    long now = System.nanoTime();
    if (now - quietUntilNanos >= 0) {
      quietUntilNanos = now + LOG_PAUSE.toNanos();
      LOG.log(Level.WARNING, message, cause);
    }
  }

  private void watchStalls() {
    try {
      while (!closed) {
        Thread.sleep(STALL_LOOK);
        for (HttpConnection connection : connections) {
          if (connection.stalledFor(STALL_LIMIT)) {
            connection.cut();
          }
        }
      }
    } catch (InterruptedException e) {
      LOG.log(Level.DEBUG, "the listener is closed");
    }
  }

  private static void pause() {
    try {
      Thread.sleep(PAUSE);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Ends idle connections at once, and those that are busy when the grace is over. */
  void close(Duration grace) {
    closed = true;
    watch.interrupt();
    try {
      server.close();
    } catch (IOException e) {
      LOG.log(Level.WARNING, "closing the API's listener failed", e);
    }
    connections.forEach(HttpConnection::finish);
    try {
      long deadline = System.nanoTime() + grace.toNanos();
      for (HttpConnection connection : connections) {
        connection.awaitEnd(Duration.ofNanos(Math.max(0, deadline - System.nanoTime())));
      }
      connections.forEach(HttpConnection::cut);
      for (HttpConnection connection : connections) {
        connection.end(END_LIMIT);
      }
      acceptor.join(END_LIMIT);
    } catch (InterruptedException e) {
      connections.forEach(HttpConnection::cut);
      Thread.currentThread().interrupt();
    }
    engine.close();
  }

  @Override
  public void close() {
    close(Duration.ZERO);
  }
}
