package io.malleable.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.BindException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Connections of one HTTP listener, by clients that say byte by byte what they send. */
@Timeout(120)
final class HttpListenerTest {
  private static final int MOST = 3;

  private final Semaphore entered = new Semaphore(0);
  private final CountDownLatch released = new CountDownLatch(1);
  private final List<Socket> clients = new ArrayList<>();
  private HttpListener listener;

  @BeforeEach
  void listen() throws IOException {
    HttpEngine engine =
        new HttpEngine((request, response) -> {
          if (request.path().path().equals("/wait")) {
            entered.release();
            try {
              released.await();
            } catch (InterruptedException e) {
              Thread.currentThread().interrupt();
              throw new IllegalStateException(e);
            }
          }
          response.send("hello");
        });
    listener =
        HttpListener.start(
            new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), MOST, engine);
  }

  @AfterEach
  void close() throws IOException {
    listener.close();
    for (Socket client : clients) {
      client.close();
    }
    assertEquals(0, listener.connections());
  }

  private Socket connect() throws IOException {
    Socket client = new Socket(InetAddress.getLoopbackAddress(), listener.port());
    clients.add(client);
    return client;
  }

  private static void ask(Socket client, String path) throws IOException {
    client
        .getOutputStream()
        .write(
            ("GET " + path + " HTTP/1.1\r\nHost: m2\r\n\r\n").getBytes(StandardCharsets.US_ASCII));
  }

  /** The status line of the answer; empty when the connection was closed instead. */
  private static String answer(Socket client) throws IOException {
    BufferedReader reader =
        new BufferedReader(
            new InputStreamReader(client.getInputStream(), StandardCharsets.US_ASCII));
    try {
      String status = reader.readLine();
      if (status == null) {
        return "";
      }
      while (!reader.readLine().isEmpty()) {
        // Headers; the body follows.
      }
      reader.skip("hello".length());
      return status;
    } catch (SocketException reset) {
      return "";
    }
  }

  private void awaitConnections(int number) {
    while (listener.connections() != number) {
      LockSupport.parkNanos(1_000_000);
    }
  }

  @Test
  void aConnectionServesRequestAfterRequest() throws IOException {
    Socket client = connect();
    for (int i = 0; i < 3; i++) {
      ask(client, "/");
      assertEquals("HTTP/1.1 200 OK", answer(client));
    }
    assertEquals(1, listener.connections());
    client.close();
    awaitConnections(0);
  }

  @Test
  void theOneThatHasBeenSilentForLongestMakesRoom() throws IOException {
    Socket first = connect();
    Socket second = connect();
    Socket third = connect();
    for (Socket each : List.of(first, second, third)) {
      ask(each, "/");
      assertEquals("HTTP/1.1 200 OK", answer(each));
    }
    ask(first, "/");
    assertEquals("HTTP/1.1 200 OK", answer(first));

    Socket fourth = connect();
    ask(fourth, "/");
    assertEquals("HTTP/1.1 200 OK", answer(fourth));
    assertEquals("", answer(second));
    for (Socket each : List.of(first, third, fourth)) {
      ask(each, "/");
      assertEquals("HTTP/1.1 200 OK", answer(each));
    }
    assertEquals(MOST, listener.connections());
  }

  @Test
  void oneThatIsTooManyIsClosedAtOnceWhileAllAreBusy() throws Exception {
    List<Socket> busy = new ArrayList<>();
    for (int i = 0; i < MOST; i++) {
      Socket client = connect();
      ask(client, "/");
      assertEquals("HTTP/1.1 200 OK", answer(client));
      ask(client, "/wait");
      busy.add(client);
    }
    entered.acquire(MOST);
    assertEquals("", answer(connect()));
    released.countDown();
    long served = 0;
    for (Socket client : busy) {
      served += answer(client).equals("HTTP/1.1 200 OK") ? 1 : 0;
    }
    assertEquals(MOST, served);
  }

  @Test
  void aPeerThatTalksNonsenseEndsItsOwnConnectionOnly() throws IOException {
    Socket good = connect();
    Socket bad = connect();
    bad.getOutputStream().write("nonsense\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
    assertEquals("HTTP/1.1 400 Bad Request", answer(bad));
    ask(good, "/");
    assertEquals("HTTP/1.1 200 OK", answer(good));
    awaitConnections(1);
  }

  @Test
  void aCloseEndsIdleConnectionsAtOnceAndLetsBusyOnesFinish() throws Exception {
    Socket idle = connect();
    Socket busy = connect();
    for (Socket each : List.of(idle, busy)) {
      ask(each, "/");
      assertEquals("HTTP/1.1 200 OK", answer(each));
    }
    ask(busy, "/wait");
    entered.acquire();
    Thread closing = Thread.ofVirtual().start(() -> listener.close(Duration.ofMinutes(1)));
    assertEquals("", answer(idle));
    assertTrue(closing.isAlive());
    released.countDown();
    assertEquals("HTTP/1.1 200 OK", answer(busy));
    closing.join();
    assertThrows(IOException.class, this::connect);
  }

  @Test
  void anAddressThatIsTakenIsRefused() {
    HttpEngine engine = new HttpEngine((request, response) -> response.send());
    assertThrows(
        BindException.class,
        () ->
            HttpListener.start(
                new InetSocketAddress(InetAddress.getLoopbackAddress(), listener.port()),
                MOST,
                engine));
    engine.close();
  }
}
