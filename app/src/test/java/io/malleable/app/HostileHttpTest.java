package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/**
 * What a peer may send to the API and to the boot listener instead of a request. Each gets a
 * refusal or a closed connection, and leaves no trace in the log, nor a listener that is worse off.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
final class HostileHttpTest {
  private static final Pattern STATUS = Pattern.compile("HTTP/1\\.1 ([0-9]{3}) ");
  private static final int TIMEOUT_MILLIS = 120_000;

  /** Of what never ends: more than a listener may take, or keep, before it ends it. */
  private static final int MUCH = 64 << 20;

  /**
   * What each listener has to offer, and what it takes to get it.
   *
   * @param served the status of what it has to offer
   */
  private record Listener(String key, String get, String post, String more, String served) {
    String request(String template) {
      return template
          .replace("{get}", get)
          .replace("{post}", post)
          .replace("{host}", "Host: m2\r\n" + more);
    }
  }

  private ServeProcess server;
  private List<Listener> listeners;

  @BeforeAll
  void start(@TempDir Path directory) throws Exception {
    server = ServeProcess.start(directory.resolve("data"), Map.of());
    try (TestApi api = server.api()) {
      String token = api.request("/v1/disks").build().headers().firstValue("Authorization").get();
      listeners =
          List.of(
              new Listener(
                  "http", "/v1/disks", "/v1/disks", "Authorization: " + token + "\r\n", "200"),
              new Listener("http", "/v1/disks", "/v1/disks", "", "401"),
              new Listener("bootHttp", "/boot.ipxe", "/phone-home/x", "", "200"));
    }
  }

  @AfterAll
  void stop() {
    server.close();
  }

  @AfterEach
  void theServerIsAsItWas() throws Exception {
    for (Listener listener : listeners) {
      assertEquals(
          List.of(listener.served()),
          statuses(listener, listener.request("GET {get} HTTP/1.1\r\n{host}\r\n")));
    }
    String log = server.log();
    assertFalse(log.contains("\tat "), log);
    assertFalse(log.contains("ERROR") || log.contains("SEVERE"), log);
  }

  private Socket connect(Listener listener) throws IOException {
    String[] at = server.run().path(listener.key()).asText().split(":", -1);
    Socket socket = new Socket();
    socket.connect(new InetSocketAddress(at[0], Integer.parseInt(at[1])), TIMEOUT_MILLIS);
    socket.setSoTimeout(TIMEOUT_MILLIS);
    return socket;
  }

  /** The status of each answer to what is sent, until the listener closes the connection. */
  private List<String> statuses(Listener listener, String request) throws IOException {
    try (Socket socket = connect(listener)) {
      try {
        socket.getOutputStream().write(request.getBytes(StandardCharsets.ISO_8859_1));
        socket.shutdownOutput();
      } catch (SocketException closed) {
        // It need not take all of it.
      }
      return statuses(socket);
    }
  }

  private static List<String> statuses(Socket socket) throws IOException {
    ByteArrayOutputStream answer = new ByteArrayOutputStream();
    try {
      socket.getInputStream().transferTo(answer);
    } catch (SocketException reset) {
      // What came before counts.
    }
    List<String> statuses = new ArrayList<>();
    Matcher matcher = STATUS.matcher(answer.toString(StandardCharsets.ISO_8859_1));
    while (matcher.find()) {
      // 100 is no answer yet.
      if (!matcher.group(1).startsWith("1")) {
        statuses.add(matcher.group(1));
      }
    }
    return statuses;
  }

  private static void assertRefused(List<String> statuses, String what) {
    for (String status : statuses) {
      boolean refused = status.startsWith("4") || status.equals("501") || status.equals("505");
      assertTrue(refused, () -> statuses + " for " + what);
    }
  }

  private void eachIsRefused(List<String> templates) throws IOException {
    for (Listener listener : listeners) {
      for (String template : templates) {
        String what = template.substring(0, Math.min(80, template.length()));
        assertRefused(statuses(listener, listener.request(template)), listener.key() + ": " + what);
      }
    }
  }

  @Test
  void whatIsNotHttpIsRefused() throws IOException {
    eachIsRefused(
        List.of(
            "",
            "\0",
            "\r\n",
            "\0\0\0\0\r\n\r\n",
            "nonsense\r\n\r\n",
            // A hello of TLS 1.3 begins so.
            "\u0016\u0003\u0001\u0000\u00a5\u0001\u0000\u0000\u00a1\u0003\u0003"
                + "\u0011".repeat(160),
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u0004\0\0\0\0\0",
            "SSH-2.0-OpenSSH_9.2\r\n",
            "GET {get}\r\n",
            "GET {get} HTTP/0.9\r\n\r\n",
            "GET {get} HTTP/1.0\r\n\r\n",
            "GET {get} HTTP/1.2\r\n{host}\r\n",
            "GET {get} HTTP/9.9\r\n{host}\r\n",
            "GET {get} http/1.1\r\n{host}\r\n",
            "GET  {get} HTTP/1.1\r\n{host}\r\n",
            "GET\t{get}\tHTTP/1.1\r\n{host}\r\n",
            "GET {get} HTTP/1.1\n{host}\n",
            "GET {get} HTTP/1.1\r\n",
            "GET {get} HTTP/1.1\r\n{host}"));
  }

  @Test
  void headsThatAreTooLargeOrMalformedAreRefused() throws IOException {
    eachIsRefused(
        List.of(
            "GET /" + "a".repeat(1 << 20) + " HTTP/1.1\r\n{host}\r\n",
            "GET {get}?" + "a=b&".repeat(1 << 16) + " HTTP/1.1\r\n{host}\r\n",
            "A".repeat(1 << 20) + " {get} HTTP/1.1\r\n{host}\r\n",
            "GET {get} HTTP/1.1\r\n{host}X: " + "x".repeat(1 << 20) + "\r\n\r\n",
            "GET {get} HTTP/1.1\r\n{host}" + "X".repeat(1 << 20) + ": x\r\n\r\n",
            "GET {get} HTTP/1.1\r\n{host}" + "X: y\r\n".repeat(1 << 16) + "\r\n",
            "GET {get} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET {get} HTTP/1.1\r\nHost: \r\n\r\n",
            "GET {get} HTTP/1.1\r\nHost: a:b:c\r\n\r\n",
            "GET {get} HTTP/1.1\r\nHost: [::1\r\n\r\n",
            "GET {get} HTTP/1.1\r\n\r\n",
            "GET {get} HTTP/1.1\r\n{host}no colon\r\n\r\n",
            "GET {get} HTTP/1.1\r\n{host}A B: c\r\n\r\n",
            "GET {get} HTTP/1.1\r\n{host}A\0: c\r\n\r\n",
            "GET {get} HTTP/1.1\r\n{host}A: \0\r\n\r\n",
            "GET {get} HTTP/1.1\r\n{host}A: b\r\n folded\r\n\r\n"));
  }

  @Test
  void pathsThatLeadNowhereAreRefused() throws IOException {
    List<String> templates = new ArrayList<>();
    for (String path :
        List.of(
            "/../../etc/passwd",
            "/%2e%2e/%2e%2e/etc/passwd",
            "/..%2f..%2fetc%2fpasswd",
            "/%252e%252e/etc/passwd",
            "/..%5c..%5cetc",
            "/v1/disks/../../etc/passwd",
            "/v1/disks/%2e%2e",
            "/v1/disks/%00",
            "/boot/../../../etc/passwd.ipxe",
            "/boot/%2e%2e%2fsecret.ipxe",
            "/boot/%00.ipxe",
            "/boot/\0.ipxe",
            "/%zz",
            "/%",
            "/%ff%fe",
            "/\u00ff\u00fe",
            "//etc/passwd",
            "*",
            "etc/passwd",
            "file:///etc/passwd",
            "http://",
            "http://m2",
            "http://m2/etc/passwd",
            "http://[::bad/",
            "{get}#fragment\0",
            "{get}/;a=b")) {
      templates.add("GET " + path + " HTTP/1.1\r\n{host}\r\n");
    }
    templates.add("OPTIONS * HTTP/1.1\r\n{host}\r\n");
    templates.add("CONNECT example.org:443 HTTP/1.1\r\n{host}\r\n");
    eachIsRefused(templates);
  }

  @Test
  void methodsThatAreNotForIt() throws IOException {
    List<String> templates = new ArrayList<>();
    for (String method :
        List.of("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "G\0T", "G(T")) {
      templates.add(method + " {get} HTTP/1.1\r\n{host}\r\n");
      templates.add(method + " {get} HTTP/1.1\r\n{host}Content-Length: 3\r\n\r\nabc");
    }
    eachIsRefused(templates);
  }

  @Test
  void bodiesThatAreNotAsAnnouncedAreRefused() throws IOException {
    String head = "POST {post} HTTP/1.1\r\n{host}";
    String chunked = head + "Transfer-Encoding: chunked\r\n\r\n";
    eachIsRefused(
        List.of(
            head + "Content-Length: 10\r\n\r\n{}",
            head + "Content-Length: 2\r\n\r\n{}and more of it",
            head + "Content-Length: 2\r\n\r\n{}GET / HTTP/1.1\r\n\r\n",
            head + "Content-Length: 0\r\n\r\n",
            head + "Content-Length: -5\r\n\r\n",
            head + "Content-Length: +5\r\n\r\nabcde",
            head + "Content-Length: 0x5\r\n\r\nabcde",
            head + "Content-Length: 99999999999999999999\r\n\r\nabc",
            head + "Content-Length: 1099511627776\r\n\r\nabc",
            head + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
            head + "Content-Length: 3, 4\r\n\r\nabcd",
            head + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            head + "Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
            head + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
            head + "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
            head + "Expect: 100-continue\r\nContent-Length: 10\r\n\r\nabc",
            head + "Expect: nothing\r\nContent-Length: 3\r\n\r\nabc",
            chunked,
            chunked + "5\r\nab",
            chunked + "zz\r\nab\r\n",
            chunked + "-1\r\nab\r\n",
            chunked + "ffffffffff\r\nab\r\n",
            chunked + "7fffffff\r\nab\r\n",
            chunked + "2\r\n{}XX0\r\n\r\n",
            chunked + "2\r\n{}\r\n0\r\nnot the end",
            chunked + "\r\n\r\n",
            head + "Content-Length: 100000\r\n\r\n" + "x".repeat(100_000)));
  }

  @Test
  void anUpgradeIsNotMade() throws IOException {
    for (Listener listener : listeners) {
      for (String protocol : List.of("websocket", "h2c", "TLS/1.2")) {
        List<String> statuses =
            statuses(
                listener,
                listener.request(
                    "GET {get} HTTP/1.1\r\n{host}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: "
                        + protocol
                        + "\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nSec-WebSocket-Version: 13\r\n"
                        + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"));
        assertEquals(List.of(listener.served()), statuses, protocol);
      }
    }
  }

  @Test
  void requestsInOnePieceAreAnsweredInOrder() throws IOException {
    for (Listener listener : listeners) {
      String one = "GET {get} HTTP/1.1\r\n{host}\r\n";
      String none = "GET /nothing HTTP/1.1\r\n{host}\r\n";
      assertEquals(
          List.of(listener.served(), "404", listener.served(), "400"),
          statuses(listener, listener.request(one + none + one + "nonsense\r\n\r\n")));
      List<String> many = statuses(listener, listener.request(none.repeat(500)));
      assertEquals(500, many.size(), many::toString);
    }
  }

  @Test
  void bothFormsOfATargetAreServed() throws IOException {
    for (Listener listener : listeners) {
      assertEquals(
          List.of(listener.served()),
          statuses(listener, listener.request("GET http://m2{get} HTTP/1.1\r\n{host}\r\n")));
    }
  }

  @Test
  void whatNeverEndsIsEnded() throws IOException {
    for (Listener listener : listeners) {
      for (String endless :
          List.of(
              "x",
              "GET /",
              "GET {get} HTTP/1.1\r\n{host}X: ",
              "POST {post} HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n7fffffff\r\n",
              "POST {post} HTTP/1.1\r\n{host}Content-Length: 9999999999999\r\n\r\n")) {
        try (Socket socket = connect(listener)) {
          OutputStream out = socket.getOutputStream();
          int sent = 0;
          try {
            out.write(listener.request(endless).getBytes(StandardCharsets.ISO_8859_1));
            while (sent < MUCH) {
              out.write("x".repeat(1 << 16).getBytes(StandardCharsets.US_ASCII));
              sent += 1 << 16;
            }
          } catch (SocketException closed) {
            assertTrue(sent < MUCH);
          }
          // A body of a length that is known is thrown away as it comes, until its time is over.
          if (!endless.contains("Content-Length")) {
            assertTrue(sent < MUCH, endless);
          }
          if (sent < MUCH) {
            assertRefused(statuses(socket), endless);
          }
        }
      }
    }
  }
}
