package io.malleable.server;

import io.helidon.common.buffers.BufferData;
import io.helidon.common.buffers.DataReader;
import io.helidon.common.buffers.DataWriter;
import io.helidon.common.socket.HelidonSocket;
import io.helidon.common.socket.PeerInfo;
import io.helidon.common.socket.PlainSocket;
import io.helidon.common.socket.SocketWriter;
import io.helidon.common.task.InterruptableTask;
import io.helidon.webserver.CloseConnectionException;
import io.helidon.webserver.ConnectionContext;
import io.helidon.webserver.ListenerContext;
import io.helidon.webserver.Router;
import io.helidon.webserver.ServerConnectionException;
import io.helidon.webserver.spi.ServerConnection;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.System.Logger.Level;
import java.net.Socket;
import java.time.Duration;
import java.util.concurrent.ExecutorService;
import java.util.function.Consumer;

/** One client's connection. Its own virtual thread serves it; any thread may cut it. */
final class HttpConnection implements ConnectionContext {
  private static final System.Logger LOG = System.getLogger(HttpConnection.class.getName());

  private final Socket socket;
  private final HttpEngine engine;
  private final PlainSocket plain;
  private final DataReader reader;
  private final WatchedWriter writer;
  private final ServerConnection protocol;
  private final Thread thread;
  private volatile long heardAtNanos = System.nanoTime();

  /**
   * Makes one that serves nothing before its {@link #start}.
   *
   * @param id for logs
   * @param onEnd told on the connection's thread when all is over
   */
  HttpConnection(Socket socket, HttpEngine engine, String id, Consumer<HttpConnection> onEnd) {
    this.socket = socket;
    this.engine = engine;
    this.plain = PlainSocket.server(socket, id, "api");
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
      protocol.handle(engine.requests());
    } catch (CloseConnectionException | UncheckedIOException e) {
      LOG.log(Level.DEBUG, "a connection ended", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (RuntimeException bug) {
      LOG.log(Level.ERROR, "a connection of the API failed", bug);
    } finally {
      cut();
      onEnd.accept(this);
    }
  }

  private byte[] receive() {
    try {
      byte[] received = plain.get();
      heardAtNanos = System.nanoTime();
      return received;
    } catch (UncheckedIOException e) {
      throw new ServerConnectionException("the connection ended", e);
    }
  }

  /** Whether it waits for the next request. */
  boolean idle() {
    return protocol instanceof InterruptableTask<?> task && task.canInterrupt();
  }

  /** How long its client has sent nothing. */
  long silentNanos() {
    return System.nanoTime() - heardAtNanos;
  }

  /** Whether its client has taken nothing for so long, though there is something for it. */
  boolean stalledFor(Duration limit) {
    long since = writer.sinceNanos;
    return since != WatchedWriter.NOT_WRITING && System.nanoTime() - since > limit.toNanos();
  }

  /** Takes no further request. */
  void finish() {
    protocol.close(false);
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
    static final long NOT_WRITING = Long.MIN_VALUE;

    private final DataWriter writer;
    private volatile long sinceNanos = NOT_WRITING;

    WatchedWriter(DataWriter writer) {
      this.writer = writer;
    }

    private void watched(Runnable write) {
      sinceNanos = System.nanoTime();
      try {
        write.run();
      } finally {
        sinceNanos = NOT_WRITING;
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
