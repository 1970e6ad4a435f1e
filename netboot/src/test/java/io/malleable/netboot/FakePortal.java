package io.malleable.netboot;

import java.io.DataInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/** Reads the first login of each connection (RFC 7143 11.12) and hangs up. */
final class FakePortal implements AutoCloseable {
  private static final int HEADER_BYTES = 48;

  private final ServerSocket socket;
  private final List<List<String>> logins = new CopyOnWriteArrayList<>();

  FakePortal() throws IOException {
    socket = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    Thread.ofVirtual().start(this::serve);
  }

  int port() {
    return socket.getLocalPort();
  }

  /** The text keys of every login so far, {@code key=value}. */
  List<List<String>> logins() {
    return logins;
  }

  private void serve() {
    while (!socket.isClosed()) {
      try (Socket connection = socket.accept()) {
        DataInputStream in = new DataInputStream(connection.getInputStream());
        byte[] header = in.readNBytes(HEADER_BYTES);
        if (header.length < HEADER_BYTES) {
          continue;
        }
        int lengthBytes = (header[5] & 0xff) << 16 | (header[6] & 0xff) << 8 | (header[7] & 0xff);
        String text = new String(in.readNBytes(lengthBytes), StandardCharsets.US_ASCII);
        logins.add(Arrays.stream(text.split("\0", -1)).filter(key -> !key.isEmpty()).toList());
      } catch (IOException e) {
        if (!socket.isClosed()) {
          throw new UncheckedIOException(e);
        }
      }
    }
  }

  @Override
  public void close() throws IOException {
    socket.close();
  }
}
