package io.malleable.http;

import io.helidon.common.buffers.BufferData;
import io.helidon.common.buffers.DataReader;
import io.helidon.common.buffers.DataWriter;
import io.helidon.common.socket.HelidonSocket;
import io.helidon.common.socket.PeerInfo;
import io.helidon.common.socket.PlainSocket;
import io.helidon.common.socket.SocketWriter;
import io.helidon.webserver.CloseConnectionException;
import io.helidon.webserver.ConnectionContext;
import io.helidon.webserver.ListenerContext;
import io.helidon.webserver.Router;
import io.helidon.webserver.ServerConnectionException;
import io.helidon.webserver.spi.ServerConnection;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.System.Logger.Level;
import java.net.Socket;
import java.time.Duration;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** One client's connection. Its own virtual thread serves it; any thread may cut it. */
final class HttpConnection implements ConnectionContext {
  private static final System.Logger LOG = System.getLogger(HttpConnection.class.getName());

  private static final ScopedValue<HttpConnection> CURRENT = ScopedValue.newInstance();

  /** Of what has no beginning now. */
  private static final long NEVER = Long.MIN_VALUE;

  /** Who has sent nothing of a body for so long gives way to another client. */
  private static final Duration SLOW = Duration.ofSeconds(5);

  /** For a client to take what one call writes. */
  private static final Duration STALL_LIMIT = Duration.ofMinutes(5);

  private static final Duration LINGER = Duration.ofSeconds(2);
  private static final int LINGER_PARTS = 128;
  private static final int LINGER_PART_BYTES = 8 << 10;

  private final Socket socket;
  private final HttpEngine engine;
  private final PlainSocket plain;
  private final DataReader reader;
  private final WatchedWriter writer;
  private final ServerConnection protocol;
  private final Thread thread;
  private final HeldBytes.OfOne held;
  private volatile long heardAtNanos = System.nanoTime();
  private volatile long readingSinceNanos = NEVER;

  /** Since when the head of a request is under way; the first is from the beginning. */
  private volatile long headSinceNanos = System.nanoTime();

  private volatile long requestSinceNanos = NEVER;

  // Owned by its thread.
  private Outcome outcome = Outcome.DONE;

  /**
   * Makes one that serves nothing before its {@link #start}.
   *
   * @param id for logs
   * @param onEnd told on the connection's thread when all is over
   */
  HttpConnection(Socket socket, HttpEngine engine, String id, Consumer<HttpConnection> onEnd) {
    this.socket = socket;
    this.engine = engine;
    this.held = engine.held().ofOne();
    this.plain = PlainSocket.server(socket, id, "http");
    this.reader = DataReader.create(this::receive);
    this.writer = new WatchedWriter(SocketWriter.create(plain));
    this.protocol = engine.connection(this);
    this.thread = Thread.ofVirtual().name("http-" + id).unstarted(() -> run(onEnd));
  }

  void start() {
    thread.start();
  }

  private void run(Consumer<HttpConnection> onEnd) {
    try {
      ScopedValue.where(CURRENT, this).call(this::serve);
    } catch (CloseConnectionException | UncheckedIOException e) {
      LOG.log(Level.DEBUG, "a connection ended", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (RuntimeException bug) {
      LOG.log(Level.ERROR, "an HTTP connection failed", bug);
    } finally {
      linger();
      cut();
      held.end();
      onEnd.accept(this);
    }
  }

  @Nullable Void serve() throws InterruptedException {
    protocol.handle(engine.requests());
    return null;
  }

  /** The one whose request this thread serves. */
  static HttpConnection current() {
    return CURRENT.get();
  }

  /** The head of a request is there. */
  void onRequest() {
    headSinceNanos = NEVER;
    requestSinceNanos = System.nanoTime();
  }

  /** How the handler of a request ended. */
  enum Outcome {
    DONE,
    FAILED
  }

  /** All of the answer is written; the rest of the body, or the next head, may come. */
  void onAnswered(Outcome how) {
    outcome = how;
    requestSinceNanos = NEVER;
  }

  /** Whether the handler of the last request threw something. */
  boolean handlerFailed() {
    return outcome == Outcome.FAILED;
  }

  private byte[] receive() {
    readingSinceNanos = System.nanoTime();
    byte[] received;
    try {
      received = plain.get();
    } catch (UncheckedIOException e) {
      throw new ServerConnectionException("the connection ended", e);
    } finally {
      readingSinceNanos = NEVER;
    }
    if (received == null) {
      // Where the protocol expects more, it would call that an error of ours.
      throw new CloseConnectionException("the client ended the connection");
    }
    long now = System.nanoTime();
    heardAtNanos = now;
    if (requestSinceNanos == NEVER && headSinceNanos == NEVER) {
      headSinceNanos = now;
    }
    if (held.exceededBy(received.length, reader::available)) {
      throw new CloseConnectionException("the client sent a chunk that is too large to keep");
    }
    return received;
  }

  /** Whether it waits for its client, who may well come again. */
  boolean idle() {
    long reading = readingSinceNanos;
    return requestSinceNanos == NEVER
        || (reading != NEVER && System.nanoTime() - reading > SLOW.toNanos());
  }

  /** How long its client has sent nothing. */
  long silentNanos() {
    return System.nanoTime() - heardAtNanos;
  }

  /** Whether its client, or its request, takes longer than it may. */
  boolean overdue(HttpLimits limits) {
    return longerThan(limits.head(), headSinceNanos)
        || longerThan(limits.answer(), requestSinceNanos)
        || longerThan(STALL_LIMIT, writer.sinceNanos);
  }

  private static boolean longerThan(Duration limit, long sinceNanos) {
    return sinceNanos != NEVER && System.nanoTime() - sinceNanos > limit.toNanos();
  }

  /** Takes no further request. */
  void finish() {
    protocol.close(false);
  }

  /**
   * Waits for the client to go, as it does when it has read an answer that is the last. Closing
   * while it sends would reset the connection and take that answer from it.
   */
  private void linger() {
    byte[] discarded = new byte[LINGER_PART_BYTES];
    long deadline = System.nanoTime() + LINGER.toNanos();
    try {
      socket.shutdownOutput();
      InputStream in = socket.getInputStream();
      long leftMillis = LINGER.toMillis();
      for (int part = 0; part < LINGER_PARTS && leftMillis > 0; part++) {
        socket.setSoTimeout((int) leftMillis);
        if (in.read(discarded) < 0) {
          return;
        }
        leftMillis = TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime());
      }
    } catch (IOException e) {
      LOG.log(Level.DEBUG, "the client has gone already", e);
    }
  }

  /** Ends it at once, whatever it does. */
  void cut() {
    try {
      socket.close();
    } catch (IOException e) {
      LOG.log(Level.DEBUG, "closing a connection failed", e);
    }
  }

  /** Interrupts what serves it and waits for that. */
  void end(Duration limit) throws InterruptedException {
    cut();
    thread.interrupt();
    thread.join(limit);
  }

  boolean awaitEnd(Duration limit) throws InterruptedException {
    return thread.join(limit);
  }

  @Override
  public ListenerContext listenerContext() {
    return engine;
  }

  @Override
  public ExecutorService executor() {
    return engine.executor();
  }

  @Override
  public DataWriter dataWriter() {
    return writer;
  }

  @Override
  public DataReader dataReader() {
    return reader;
  }

  @Override
  public Router router() {
    return engine.router();
  }

  @Override
  public HelidonSocket serverSocket() {
    return plain;
  }

  @Override
  public PeerInfo remotePeer() {
    return plain.remotePeer();
  }

  @Override
  public PeerInfo localPeer() {
    return plain.localPeer();
  }

  @Override
  public boolean isSecure() {
    return false;
  }

  @Override
  public String socketId() {
    return plain.socketId();
  }

  @Override
  public String childSocketId() {
    return plain.childSocketId();
  }

  /** Knows since when a write has been waiting: sockets have a time limit for reads only. */
  private static final class WatchedWriter implements DataWriter {
    private final DataWriter writer;
    private volatile long sinceNanos = NEVER;

    WatchedWriter(DataWriter writer) {
      this.writer = writer;
    }

    private void watched(Runnable write) {
      sinceNanos = System.nanoTime();
      try {
        write.run();
      } finally {
        sinceNanos = NEVER;
      }
    }

    @Override
    public void write(BufferData... buffers) {
      watched(() -> writer.write(buffers));
    }

    @Override
    public void write(BufferData buffer) {
      watched(() -> writer.write(buffer));
    }

    @Override
    public void writeNow(BufferData... buffers) {
      watched(() -> writer.writeNow(buffers));
    }

    @Override
    public void writeNow(BufferData buffer) {
      watched(() -> writer.writeNow(buffer));
    }

    @Override
    public void flush() {
      watched(writer::flush);
    }
  }
}
