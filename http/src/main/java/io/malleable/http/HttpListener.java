package io.malleable.http;

import io.helidon.webserver.http.Handler;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.StandardSocketOptions;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
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
 * client for longest, so that who only opens connections keeps nobody out; while all are busy it is
 * answered 503.
 */
public final class HttpListener implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(HttpListener.class.getName());

  private static final int BACKLOG = 1024;

  /** For the next request, and for the rest of one. */
  private static final Duration READ_TIMEOUT = Duration.ofSeconds(60);

  private static final Duration LONGEST_LOOK = Duration.ofSeconds(1);
  private static final int LOOKS = 4;

  /** After a failure such as "too many open files". */
  private static final Duration PAUSE = Duration.ofMillis(100);

  /** While clients that were refused have not gone. */
  private static final long REFUSED_LOOK_MILLIS = 250;

  /** For what was cut off to notice. */
  private static final Duration END_LIMIT = Duration.ofSeconds(2);

  private static final Duration LOG_PAUSE = Duration.ofMinutes(1);

  private final String name;
  private final ServerSocketChannel server;
  private final Selector selector;
  private final InetSocketAddress address;
  private final HttpLimits limits;
  private final HttpEngine engine;
  private final Set<HttpConnection> connections = ConcurrentHashMap.newKeySet();
  private final Thread acceptor;
  private final Thread watch;
  private volatile boolean closed;

  // Owned by the acceptor.
  private final RefusedConnections refused;
  private long accepted;
  private long quietUntilNanos = System.nanoTime();

  /**
   * Who listens, and how.
   *
   * @param name for threads and the log, such as "api"
   * @param busy what a client is told while all connections are busy
   */
  public record Settings(String name, HttpLimits limits, BusyAnswer busy) {}

  private HttpListener(
      ServerSocketChannel server, Selector selector, Settings settings, HttpEngine engine)
      throws IOException {
    this.name = settings.name();
    this.server = server;
    this.selector = selector;
    this.address = (InetSocketAddress) server.getLocalAddress();
    this.limits = settings.limits();
    this.engine = engine;
    this.refused = new RefusedConnections(selector, settings.busy().bytes());
    this.acceptor =
        Thread.ofPlatform().daemon().name(name + "-listener").unstarted(this::acceptAll);
    this.watch = Thread.ofVirtual().name(name + "-watch").unstarted(this::watchLimits);
  }

  /**
   * Listens and serves.
   *
   * @param handler of all requests, each on the thread of its connection
   * @throws IOException if the address cannot be bound
   */
  public static HttpListener start(InetSocketAddress address, Settings settings, Handler handler)
      throws IOException {
    HttpEngine engine = new HttpEngine(handler);
    Selector selector = null;
    ServerSocketChannel server = null;
    HttpListener listener;
    try {
      selector = Selector.open();
      server = ServerSocketChannel.open();
      server.setOption(StandardSocketOptions.SO_REUSEADDR, true);
      server.bind(address, BACKLOG);
      server.configureBlocking(false);
      server.register(selector, SelectionKey.OP_ACCEPT);
      listener = new HttpListener(server, selector, settings, engine);
    } catch (IOException | RuntimeException e) {
      engine.close();
      if (server != null) {
        server.close();
      }
      if (selector != null) {
        selector.close();
      }
      throw e;
    }
    listener.acceptor.start();
    listener.watch.start();
    return listener;
  }

  /** Where it is bound, with its real port. */
  public InetSocketAddress address() {
    return address;
  }

  /** How many there are now. */
  public int connections() {
    return connections.size();
  }

  private void acceptAll() {
    while (!closed) {
      try {
        selector.select(key -> {}, refused.isEmpty() ? 0 : REFUSED_LOOK_MILLIS);
        refused.tend();
        SocketChannel client = server.accept();
        if (client != null) {
          take(client);
        }
      } catch (IOException | RuntimeException | OutOfMemoryError e) {
        if (!closed) {
          warn("the " + name + " listener could not take a connection and goes on trying", e);
          dropLongestIdle();
          pause();
        }
      }
    }
    refused.endAll();
    try (selector;
        server) {
      LOG.log(Level.DEBUG, "the {0} listener ends", name);
    } catch (IOException e) {
      LOG.log(Level.WARNING, "closing the " + name + " listener failed", e);
    }
  }

  private void take(SocketChannel client) throws IOException {
    try {
      if (connections.size() >= limits.connections() && !dropLongestIdle()) {
        warn(
            "the "
                + name
                + " listener refused a connection from "
                + client.getRemoteAddress()
                + ": all "
                + limits.connections()
                + " that it may have are busy",
            null);
        refused.refuse(client);
        return;
      }
      Socket socket = client.socket();
      socket.setTcpNoDelay(true);
      socket.setSoTimeout(Math.toIntExact(READ_TIMEOUT.toMillis()));
      begin(new HttpConnection(socket, engine, name + "-" + ++accepted, connections::remove));
    } catch (IOException e) {
      // This client has hung up already; whoever does so must not hold up the others.
      LOG.log(Level.DEBUG, "a client went before it was served", e);
      client.close();
    } catch (RuntimeException | OutOfMemoryError e) {
      client.close();
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

  private void watchLimits() {
    Duration look = limits.head().dividedBy(LOOKS);
    try {
      while (!closed) {
        Thread.sleep(look.compareTo(LONGEST_LOOK) < 0 ? look : LONGEST_LOOK);
        for (HttpConnection connection : connections) {
          if (connection.overdue(limits)) {
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
  public void close(Duration grace) {
    closed = true;
    watch.interrupt();
    selector.wakeup();
    endOfAcceptor();
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
    } catch (InterruptedException e) {
      connections.forEach(HttpConnection::cut);
      Thread.currentThread().interrupt();
    }
    engine.close();
  }

  private void endOfAcceptor() {
    try {
      acceptor.join(END_LIMIT);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void close() {
    close(Duration.ZERO);
  }
}
