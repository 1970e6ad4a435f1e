package io.malleable.http;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.BindException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
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
    listener = listen(HttpLimits.of(MOST));
  }

  private HttpListener listen(HttpLimits limits) throws IOException {
    return HttpListener.start(
        new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
        new HttpListener.Settings("test", limits, new BusyAnswer("text/plain", "no room\n")),
        this::handle);
  }

  private void handle(ServerRequest request, ServerResponse response) {
    if (RequestPath.raw(request).equals("/wait")) {
      entered.release();
      try {
        released.await();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IllegalStateException(e);
      }
    }
    if (RequestPath.raw(request).equals("/body")) {
      entered.release();
      response.send(request.content().as(byte[].class));
      return;
    }
    response.send("hello");
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
    return connect(listener);
  }

  private Socket connect(HttpListener to) throws IOException {
    Socket client = new Socket(InetAddress.getLoopbackAddress(), to.address().getPort());
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

  private List<Socket> allBusy() throws Exception {
    List<Socket> busy = new ArrayList<>();
    for (int i = 0; i < MOST; i++) {
      Socket client = connect();
      ask(client, "/");
      assertEquals("HTTP/1.1 200 OK", answer(client));
      ask(client, "/wait");
      busy.add(client);
    }
    entered.acquire(MOST);
    return busy;
  }

  @Test
  void oneThatIsTooManyIsToldToComeAgainWhileAllAreBusy() throws Exception {
    List<Socket> busy = allBusy();
    for (int i = 0; i < 3 * RefusedConnections.MOST; i++) {
      Socket client = connect();
      // It sends more than it should before it reads, so that a reset would be seen.
      client.getOutputStream().write(new byte[1 << 12]);
      String all = new String(client.getInputStream().readAllBytes(), StandardCharsets.US_ASCII);
      assertTrue(all.startsWith("HTTP/1.1 503 Service Unavailable\r\n"), all);
      assertTrue(all.contains("\r\nRetry-After: 5\r\n"), all);
      assertTrue(all.contains("\r\nContent-Length: 8\r\n"), all);
      assertTrue(all.endsWith("\r\n\r\nno room\n"), all);
      client.close();
    }
    released.countDown();
    for (Socket client : busy) {
      assertEquals("HTTP/1.1 200 OK", answer(client));
    }
  }

  @Test
  void thoseWhoAreRefusedAndDoNotGoAreFewAndKeepNobodyOut() throws Exception {
    List<Socket> busy = allBusy();
    List<Socket> refused = new ArrayList<>();
    for (int i = 0; i < 10 * RefusedConnections.MOST; i++) {
      refused.add(connect());
    }
    for (Socket client : refused) {
      assertEquals("HTTP/1.1 503 Service Unavailable", answer(client));
    }
    released.countDown();
    for (Socket client : busy) {
      assertEquals("HTTP/1.1 200 OK", answer(client));
    }
    Socket fresh = connect();
    ask(fresh, "/");
    assertEquals("HTTP/1.1 200 OK", answer(fresh));
    assertEquals(MOST, listener.connections());
  }

  @Test
  void whoSendsAHeadTooSlowlyIsCutOff() throws Exception {
    try (HttpListener impatient = listen(HttpLimits.of(MOST).withHead(Duration.ofMillis(200)))) {
      for (String slow : List.of("", "G", "GET / HTTP/1.1\r\nHost: x\r\nX-One: ")) {
        try (Socket client = connect(impatient)) {
          client.getOutputStream().write(slow.getBytes(StandardCharsets.US_ASCII));
          assertEquals(0, drip(client), slow);
        }
      }
    }
  }

  /** Sends a byte now and then until the connection ends; how many bytes were answered. */
  private static int drip(Socket client) throws IOException {
    client.setSoTimeout(20);
    while (true) {
      try {
        return client.getInputStream().readAllBytes().length;
      } catch (SocketTimeoutException e) {
        try {
          client.getOutputStream().write('x');
        } catch (SocketException ended) {
          return 0;
        }
      } catch (SocketException reset) {
        return 0;
      }
    }
  }

  @Test
  void whoWaitsForTheRestOfAHeadMakesRoomForOthers() throws Exception {
    for (int i = 0; i < 5 * MOST; i++) {
      Socket slow = connect();
      slow.getOutputStream().write("GET / HTTP/1.1\r\n".getBytes(StandardCharsets.US_ASCII));
    }
    Socket good = connect();
    ask(good, "/");
    assertEquals("HTTP/1.1 200 OK", answer(good));
  }

  @Test
  void anAnswerThatTakesTooLongIsCutOff() throws Exception {
    try (HttpListener impatient =
        listen(
            HttpLimits.of(MOST)
                .withHead(Duration.ofMillis(400))
                .withAnswer(Duration.ofMillis(200)))) {
      Socket client = connect(impatient);
      client
          .getOutputStream()
          .write(
              "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
                  .getBytes(StandardCharsets.US_ASCII));
      entered.acquire();
      assertEquals(0, drip(client));
    }
  }

  @Test
  void aChunkThatIsTooLargeToKeepEndsItsConnection() throws Exception {
    Socket good = connect();
    ask(good, "/");
    assertEquals("HTTP/1.1 200 OK", answer(good));
    Socket client = connect();
    OutputStream out = client.getOutputStream();
    out.write(
        "POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7fffffff\r\n"
            .getBytes(StandardCharsets.US_ASCII));
    assertThrows(
        SocketException.class,
        () -> {
          for (long sent = 0; sent < Integer.MAX_VALUE; sent += 1 << 16) {
            out.write(new byte[1 << 16]);
          }
        });
    ask(good, "/");
    assertEquals("HTTP/1.1 200 OK", answer(good));
  }

  @Test
  void aBodyInManyChunksIsTakenWhole() throws Exception {
    Socket client = connect();
    byte[] chunk = new byte[100_000];
    int chunks = 100;
    Thread sending =
        Thread.ofVirtual()
            .start(() -> {
              try {
                OutputStream out = client.getOutputStream();
                out.write(
                    "POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                        .getBytes(StandardCharsets.US_ASCII));
                for (int i = 0; i < chunks; i++) {
                  out.write("%x\r\n".formatted(chunk.length).getBytes(StandardCharsets.US_ASCII));
                  out.write(chunk);
                  out.write("\r\n".getBytes(StandardCharsets.US_ASCII));
                }
                out.write("0\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
              } catch (IOException e) {
                throw new UncheckedIOException(e);
              }
            });
    String head = new String(client.getInputStream().readNBytes(200), StandardCharsets.US_ASCII);
    assertTrue(head.startsWith("HTTP/1.1 200 OK"), head);
    assertTrue(head.contains("Content-Length: " + chunks * chunk.length + "\r\n"), head);
    sending.join();
  }

  @Test
  void bothFormsOfARequestTargetNameAPath() throws Exception {
    assertEquals("/a%20b/", RequestPath.ofTarget("/a%20b/"));
    assertEquals("/v1/nodes", RequestPath.ofTarget("HTTP://host:80/v1/nodes"));
    assertEquals("/", RequestPath.ofTarget("http://host"));
    assertEquals("*", RequestPath.ofTarget("*"));
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
    assertThrows(
        BindException.class,
        () ->
            HttpListener.start(
                listener.address(),
                new HttpListener.Settings(
                    "other", HttpLimits.of(MOST), new BusyAnswer("text/plain", "")),
                this::handle));
  }
}
