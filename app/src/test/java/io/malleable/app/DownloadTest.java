package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.malleable.control.ControlException;
import io.malleable.control.ErrorCode;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Files from a server whose connections break. */
final class DownloadTest {
  private static final int CUT_BYTES = 300_000;

  private final byte[] content = new byte[1_000_000];
  private final List<String> asked = Collections.synchronizedList(new ArrayList<>());
  private final UUID name = UUID.randomUUID();
  private HttpServer web;
  private Path directory;
  private Download download;

  /** Whether the server names the version of the file and sends parts of it. */
  private volatile boolean versioned = true;

  private volatile String version = "\"1\"";
  private volatile int leastCutBytes = CUT_BYTES;

  @BeforeEach
  void start(@TempDir Path temporary) throws IOException {
    new Random(3).nextBytes(content);
    directory = temporary.resolve("downloads");
    download = new Download(directory, 0, Duration.ofMillis(1));
    web = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    web.createContext("/", this::answer);
    web.start();
  }

  @AfterEach
  void stop() {
    web.stop(0);
  }

  /** Announces all that is left and sends a part of it. */
  private void answer(HttpExchange exchange) throws IOException {
    String range = exchange.getRequestHeaders().getFirst("Range");
    asked.add(String.valueOf(range));
    int from = 0;
    if (versioned) {
      exchange.getResponseHeaders().set("ETag", version);
      if (range != null && version.equals(exchange.getRequestHeaders().getFirst("If-Range"))) {
        from = Integer.parseInt(range.replaceAll("[^0-9]", ""));
        exchange
            .getResponseHeaders()
            .set(
                "Content-Range",
                "bytes " + from + "-" + (content.length - 1) + "/" + content.length);
      }
    }
    exchange.sendResponseHeaders(from > 0 ? 206 : 200, content.length - from);
    int to = Math.min(content.length, from + leastCutBytes);
    try {
      exchange.getResponseBody().write(content, from, to - from);
      exchange.getResponseBody().flush();
    } finally {
      exchange.close();
    }
  }

  private Path fetch(AtomicBoolean cancelled) throws IOException {
    URI url = URI.create("http://127.0.0.1:" + web.getAddress().getPort() + "/image");
    return download.fetch(url, name, _ -> {}, cancelled::get);
  }

  private ControlException fails(AtomicBoolean cancelled) throws IOException {
    ControlException e = assertThrows(ControlException.class, () -> fetch(cancelled));
    try (var left = Files.list(directory)) {
      assertEquals(List.of(), left.toList());
    }
    return e;
  }

  @Test
  void goOnWhereTheyBroke() throws Exception {
    assertArrayEquals(content, Files.readAllBytes(fetch(new AtomicBoolean())));
    assertEquals("null", asked.getFirst());
    assertTrue(asked.size() >= 4, asked::toString);
    long before = 0;
    for (String range : asked.subList(1, asked.size())) {
      long from = Long.parseLong(range.replaceAll("[^0-9]", ""));
      assertTrue(from > before, asked::toString);
      before = from;
    }
  }

  @Test
  void beginAgainWhenTheFileIsAnotherOneMeanwhile() throws Exception {
    web.removeContext("/");
    web.createContext(
        "/",
        exchange -> {
          if (asked.size() == 1) {
            version = "\"2\"";
            Arrays.fill(content, (byte) 7);
            leastCutBytes = content.length;
          }
          answer(exchange);
        });
    assertArrayEquals(content, Files.readAllBytes(fetch(new AtomicBoolean())));
    assertEquals(2, asked.size());
  }

  @Test
  void endWithAnErrorWhenNothingMoreComes() throws Exception {
    versioned = false;
    ControlException e = fails(new AtomicBoolean());
    assertEquals(ErrorCode.IO_FAILED, e.code());
    assertTrue(e.message().contains("attempt"), e::message);
    assertTrue(asked.size() >= 5 && asked.size() <= 10, asked::toString);
  }

  @Test
  void endAtOnceWhenNothingEverCame() throws Exception {
    web.stop(0);
    assertEquals(ErrorCode.IO_FAILED, fails(new AtomicBoolean()).code());
    assertEquals(List.of(), asked);
  }

  @Test
  void areCancelledWhileTheyWaitForTheServerToComeBack() throws Exception {
    download = new Download(directory, 0, Duration.ofHours(1));
    AtomicBoolean cancelled = new AtomicBoolean();
    web.removeContext("/");
    web.createContext(
        "/",
        exchange -> {
          answer(exchange);
          cancelled.set(true);
        });
    assertEquals(ErrorCode.ABORTED, fails(cancelled).code());
  }

  @Test
  void keepHolesAndTheLengthBehindThem() throws Exception {
    Arrays.fill(content, 50_000, content.length, (byte) 0);
    leastCutBytes = content.length;
    Path file = fetch(new AtomicBoolean());
    assertArrayEquals(content, Files.readAllBytes(file));
    String du = Programs.run(List.of("du", "--block-size=1", file.toString()));
    assertTrue(Long.parseLong(du.split("\\s", 2)[0]) < 100_000, du);
  }

  @Test
  void thatAKilledServerLeftAreRemoved() throws Exception {
    Path left = Files.write(download.file(UUID.randomUUID()), content);
    var _ = new Download(directory, 0);
    assertTrue(Files.notExists(left));
  }
}
