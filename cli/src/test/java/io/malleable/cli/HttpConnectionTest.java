package io.malleable.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ProtocolException;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

/** Bytes of servers that we did not write, good and bad. */
class HttpConnectionTest {
  private static final HttpConnection.Body NOTHING =
      new HttpConnection.Body() {
        @Override
        public long lengthBytes() {
          return 0;
        }

        @Override
        public void writeTo(OutputStream out) {}
      };

  /** Sends these bytes to one client and hangs up; returns what the client made of them. */
  private static String exchange(String method, String answer) throws IOException {
    try (ServerSocket listener = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      CompletableFuture<Void> server =
          CompletableFuture.runAsync(() -> {
            try (Socket socket = listener.accept()) {
              readHead(socket);
              socket.getOutputStream().write(answer.getBytes(StandardCharsets.ISO_8859_1));
            } catch (IOException e) {
              throw new java.io.UncheckedIOException(e);
            }
          });
      URI url = URI.create("http://127.0.0.1:" + listener.getLocalPort());
      try (HttpConnection connection = HttpConnection.open(url, 60_000)) {
        HttpConnection.Answer got = connection.exchange(method, "/x", Map.of(), NOTHING);
        return got.status()
            + " "
            + new String(got.body().readAllBytes(), StandardCharsets.ISO_8859_1);
      } finally {
        server.join();
      }
    }
  }

  private static void readHead(Socket socket) throws IOException {
    ByteArrayOutputStream head = new ByteArrayOutputStream();
    while (!head.toString(StandardCharsets.ISO_8859_1).endsWith("\r\n\r\n")) {
      head.write(socket.getInputStream().read());
    }
  }

  @Test
  void aBodyEndsWhereItsLengthSays() throws IOException {
    assertEquals(
        "200 abc", exchange("GET", "HTTP/1.1 200 OK\r\ncontent-LENGTH:  3 \r\n\r\nabcdef"));
  }

  @Test
  void aBodyWithoutLengthEndsWithTheConnection() throws IOException {
    assertEquals("200 abc", exchange("GET", "HTTP/1.0 200 OK\r\n\r\nabc"));
  }

  @Test
  void chunksAreJoinedAndTrailersDropped() throws IOException {
    assertEquals(
        "200 Hello, world",
        exchange(
            "GET",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nHello\r\n7\r\n, world\r\n0\r\nA: b\r\n\r\n"));
  }

  @Test
  void interimAnswersAreSkipped() throws IOException {
    assertEquals(
        "204 ", exchange("GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"));
  }

  @Test
  void anAnswerToHeadHasNoBodyWhateverItsLengthSays() throws IOException {
    assertEquals("200 ", exchange("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"));
  }

  @Test
  void aBodyThatEndsEarlyIsAnError() {
    assertThrows(
        EOFException.class,
        () -> exchange("GET", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"));
    assertThrows(
        EOFException.class,
        () -> exchange("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nHel"));
    assertThrows(EOFException.class, () -> exchange("GET", "HTTP/1.1 200 OK\r\nContent-"));
    assertThrows(EOFException.class, () -> exchange("GET", ""));
  }

  @Test
  void whatIsNotHttpIsSaidToBeSo() {
    ProtocolException e =
        assertThrows(ProtocolException.class, () -> exchange("GET", "SSH-2.0-OpenSSH_9.2\r\n"));
    assertTrue(String.valueOf(e.getMessage()).contains("SSH-2.0-OpenSSH_9.2"));
  }

  @Test
  void malformedLengthsAndChunksAreRefused() {
    assertThrows(
        ProtocolException.class,
        () -> exchange("GET", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"));
    assertThrows(
        ProtocolException.class,
        () -> exchange("GET", "HTTP/1.1 200 OK\r\nContent-Length: 1e3\r\n\r\n"));
    assertThrows(
        ProtocolException.class,
        () -> exchange("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"));
    assertThrows(
        ProtocolException.class, () -> exchange("GET", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n"));
  }

  @Test
  void aHeadWithoutEndIsCutOff() {
    String line = "HTTP/1.1 200 OK\r\nX: " + "x".repeat(20_000) + "\r\n\r\n";
    assertThrows(ProtocolException.class, () -> exchange("GET", line));
    String lines = "HTTP/1.1 200 OK\r\n" + "X: y\r\n".repeat(300) + "\r\n";
    assertThrows(ProtocolException.class, () -> exchange("GET", lines));
  }

  @Test
  void aServerThatNeverAnswersIsGivenUp() throws IOException {
    try (ServerSocket listener = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
        HttpConnection connection =
            HttpConnection.open(URI.create("http://127.0.0.1:" + listener.getLocalPort()), 50)) {
      assertThrows(
          SocketTimeoutException.class, () -> connection.exchange("GET", "/", Map.of(), NOTHING));
    }
  }
}
