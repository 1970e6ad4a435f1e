package io.malleable.hardware;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.net.SocketTimeoutException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;

/**
 * Speaks the QEMU Machine Protocol: one line of JSON each way, events in between. QEMU serves one
 * monitor client at a time, so a client is opened for one purpose and closed again.
 */
final class QmpClient implements Closeable {
  /** The greeting and the few answers we ask for stay far below. */
  private static final int MAX_LINE_BYTES = 64 * 1024;

  private static final ObjectMapper JSON = new ObjectMapper();

  private final SocketChannel channel;
  private final Selector selector;
  private final long deadlineNanos;
  private final ByteBuffer received = ByteBuffer.allocate(4096).flip();

  private QmpClient(SocketChannel channel, Selector selector, long deadlineNanos) {
    this.channel = channel;
    this.selector = selector;
    this.deadlineNanos = deadlineNanos;
  }

  /** Connects and shakes hands; all calls together may take {@code timeout}. */
  static QmpClient connect(Path socket, Duration timeout) throws IOException {
    long deadlineNanos = System.nanoTime() + timeout.toNanos();
    SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX);
    try {
      // A UNIX connect never waits for the peer; with a full backlog it fails at once.
      channel.connect(UnixDomainSocketAddress.of(socket));
      channel.configureBlocking(false);
      Selector selector = Selector.open();
      channel.register(selector, SelectionKey.OP_READ);
      QmpClient client = new QmpClient(channel, selector, deadlineNanos);
      try {
        if (!client.readMessage().has("QMP")) {
          throw new IOException("not a QEMU monitor: " + socket);
        }
        client.execute("qmp_capabilities");
        return client;
      } catch (IOException | RuntimeException e) {
        client.close();
        throw e;
      }
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
  }

  /** Runs a command without arguments and gives its return value. */
  JsonNode execute(String command) throws IOException {
    byte[] line = ("{\"execute\":\"" + command + "\"}\n").getBytes(StandardCharsets.UTF_8);
    ByteBuffer out = ByteBuffer.wrap(line);
    while (out.hasRemaining()) {
      if (channel.write(out) == 0) {
        throw new SocketTimeoutException("the monitor takes no input");
      }
    }
    while (true) {
      JsonNode message = readMessage();
      if (message.has("return")) {
        return message.get("return");
      }
      if (message.has("error")) {
        throw new IOException(command + ": " + message.path("error").path("desc").asText());
      }
      // Anything else is an event that happened meanwhile.
    }
  }

  private JsonNode readMessage() throws IOException {
    ByteArrayOutputStream line = new ByteArrayOutputStream(256);
    while (true) {
      while (received.hasRemaining()) {
        byte b = received.get();
        if (b == '\n') {
          return JSON.readTree(line.toByteArray());
        }
        line.write(b);
      }
      if (line.size() > MAX_LINE_BYTES) {
        throw new IOException("the monitor sent a line without end");
      }
      fill();
    }
  }

  private void fill() throws IOException {
    received.clear();
    int count;
    while ((count = channel.read(received)) == 0) {
      long leftMillis = (deadlineNanos - System.nanoTime()) / 1_000_000;
      if (leftMillis <= 0) {
        received.flip();
        throw new SocketTimeoutException("the monitor did not answer in time");
      }
      selector.selectedKeys().clear();
      selector.select(leftMillis);
    }
    received.flip();
    if (count < 0) {
      throw new EOFException("the monitor closed");
    }
  }

  @Override
  public void close() throws IOException {
    try (channel) {
      selector.close();
    }
  }
}
