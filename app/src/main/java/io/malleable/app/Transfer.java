package io.malleable.app;

import io.malleable.control.ControlException;
import io.malleable.control.ErrorCode;
import io.malleable.volume.posix.DiskSpace;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpHeaders;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.Arrays;
import java.util.Optional;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import java.util.function.DoubleConsumer;

/**
 * One file on its way from an HTTP server. When the connection breaks it goes on where it ended
 * (RFC 9110 14.2), if the server says by what the file is known to be the same; otherwise from the
 * beginning. Blocks of zeroes stay holes. Owned by one thread.
 */
final class Transfer {
  private static final Duration ANSWER_TIMEOUT = Duration.ofSeconds(60);
  private static final Duration LONGEST_PAUSE = Duration.ofSeconds(30);
  private static final long STALL_NANOS = TimeUnit.SECONDS.toNanos(60);
  private static final int CHUNK_BYTES = 256 * 1024;
  private static final int BLOCK_BYTES = 4096;
  private static final byte[] NOUGHT = new byte[BLOCK_BYTES];
  private static final int OK = 200;
  private static final int PARTIAL = 206;
  private static final int TOO_MANY_REQUESTS = 429;
  private static final int SERVER_ERROR = 500;

  /** Attempts that bring nothing more before it is given up. */
  private static final int MOST_IN_VAIN = 5;

  private static final int MOST_ATTEMPTS = 100;

  /** How often it looks whether there is still space. */
  private static final long SPACE_CHECK_BYTES = 16L << 20;

  private final HttpClient client;
  private final URI url;
  private final Path file;
  private final long reserveBytes;
  private final DoubleConsumer progress;
  private final BooleanSupplier cancelled;

  private long receivedBytes;
  private long farthestBytes;
  private long totalBytes = -1;

  /** By what the server knows the file again: an entity tag or a date. */
  private Optional<String> validator = Optional.empty();

  Transfer(
      HttpClient client,
      URI url,
      Path file,
      long reserveBytes,
      DoubleConsumer progress,
      BooleanSupplier cancelled) {
    this.client = client;
    this.url = url;
    this.file = file;
    this.reserveBytes = reserveBytes;
    this.progress = progress;
    this.cancelled = cancelled;
  }

  /** Returns when the file is whole. */
  void run(Duration firstPause) throws InterruptedException {
    int inVain = 0;
    for (int attempt = 1; ; attempt++) {
      long before = farthestBytes;
      try {
        attempt();
        return;
      } catch (IOException e) {
        refuseIfCancelled();
        inVain = farthestBytes > before ? 0 : inVain + 1;
        if (farthestBytes == 0 || inVain >= MOST_IN_VAIN || attempt >= MOST_ATTEMPTS) {
          String attempts = attempt == 1 ? "" : " (attempt " + attempt + ")";
          throw failed(e.getMessage() + attempts).causedBy(e);
        }
        pause(firstPause.multipliedBy(1L << inVain));
      }
    }
  }

  private void pause(Duration wanted) throws InterruptedException {
    Duration pause = wanted.compareTo(LONGEST_PAUSE) < 0 ? wanted : LONGEST_PAUSE;
    long endNanos = System.nanoTime() + pause.toNanos();
    while (System.nanoTime() - endNanos < 0) {
      refuseIfCancelled();
      // In short naps, so that an abort does not wait for the whole pause.
      Thread.sleep(Math.min(100, pause.toMillis()));
    }
  }

  private void attempt() throws IOException, InterruptedException {
    HttpRequest.Builder request = HttpRequest.newBuilder(url).timeout(ANSWER_TIMEOUT).GET();
    if (receivedBytes > 0 && validator.isPresent()) {
      request.header("Range", "bytes=" + receivedBytes + "-").header("If-Range", validator.get());
    }
    HttpResponse<InputStream> response = client.send(request.build(), BodyHandlers.ofInputStream());
    try (InputStream body = response.body()) {
      switch (response.statusCode()) {
        case OK -> begin(response.headers());
        case PARTIAL -> requireRest(response.headers());
        default -> refuse(response.statusCode());
      }
      copy(body);
    }
    refuseIfCancelled();
    if (totalBytes >= 0 && receivedBytes != totalBytes) {
      throw new IOException(receivedBytes + " of " + totalBytes + " bytes arrived");
    }
  }

  private void begin(HttpHeaders headers) {
    receivedBytes = 0;
    totalBytes = headers.firstValueAsLong("Content-Length").orElse(-1);
    validator =
        headers
            .firstValue("ETag")
            .filter(tag -> !tag.startsWith("W/"))
            .or(() -> headers.firstValue("Last-Modified"));
  }

  private void requireRest(HttpHeaders headers) throws IOException {
    String range = headers.firstValue("Content-Range").orElse("");
    if (!range.startsWith("bytes " + receivedBytes + "-")) {
      validator = Optional.empty(); // it cannot: from the beginning, then
      throw new IOException(
          "the part from " + receivedBytes + " was asked for, '" + range + "' came");
    }
  }

  private void refuse(int status) throws IOException {
    String why = "the answer was the status " + status;
    if (status >= SERVER_ERROR || status == TOO_MANY_REQUESTS) {
      throw new IOException(why);
    }
    throw failed(why);
  }

  private void copy(InputStream body) throws IOException {
    AtomicLong lastNanos = new AtomicLong(System.nanoTime());
    byte[] chunk = new byte[CHUNK_BYTES];
    try (FileChannel out =
            FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        ScheduledExecutorService watchdog =
            Executors.newSingleThreadScheduledExecutor(
                Thread.ofVirtual().name("download-watchdog").factory())) {
      // A body has no timeout of its own; closing it ends the read.
      var _ =
          watchdog.scheduleWithFixedDelay(
              () -> closeIfStalled(body, lastNanos.get()), 1, 1, TimeUnit.SECONDS);
      try {
        out.truncate(receivedBytes);
        for (int n = body.read(chunk); n >= 0; n = body.read(chunk)) {
          accept(out, chunk, n);
          lastNanos.set(System.nanoTime());
        }
        if (out.size() < receivedBytes) {
          put(out, ByteBuffer.wrap(NOUGHT, 0, 1), receivedBytes - 1);
        }
      } finally {
        watchdog.shutdownNow();
      }
    }
  }

  private void accept(FileChannel out, byte[] chunk, int length) throws IOException {
    if (receivedBytes / SPACE_CHECK_BYTES != (receivedBytes + length) / SPACE_CHECK_BYTES) {
      requireSpace();
    }
    int at = 0;
    while (at < length) {
      int end = Math.min(length, at + BLOCK_BYTES - (int) ((receivedBytes + at) % BLOCK_BYTES));
      if (!Arrays.equals(chunk, at, end, NOUGHT, 0, end - at)) {
        put(out, ByteBuffer.wrap(chunk, at, end - at), receivedBytes + at);
      }
      at = end;
    }
    receivedBytes += length;
    farthestBytes = Math.max(farthestBytes, receivedBytes);
    if (totalBytes > 0) {
      progress.accept(Math.min(1.0, (double) farthestBytes / totalBytes));
    }
  }

  private static void put(FileChannel out, ByteBuffer bytes, long at) throws IOException {
    long next = at;
    while (bytes.hasRemaining()) {
      next += out.write(bytes, next);
    }
  }

  private void closeIfStalled(InputStream body, long lastNanos) {
    if (cancelled.getAsBoolean() || System.nanoTime() - lastNanos > STALL_NANOS) {
      try {
        body.close();
      } catch (IOException e) {
        // The reader sees the end of the stream either way.
      }
    }
  }

  private void refuseIfCancelled() {
    if (cancelled.getAsBoolean()) {
      throw ControlException.of(ErrorCode.ABORTED, "The download was aborted.");
    }
  }

  /** Of what is announced much may be holes: only what has come counts. */
  private void requireSpace() throws IOException {
    long freeBytes = DiskSpace.usableBytes(file) - reserveBytes;
    if (freeBytes < SPACE_CHECK_BYTES) {
      throw ControlException.of(
          ErrorCode.OUT_OF_SPACE,
          "The download from "
              + url.getHost()
              + " ended after "
              + receivedBytes
              + " bytes: "
              + Math.max(0, freeBytes)
              + " are free beyond the reserve of "
              + reserveBytes
              + ".",
          "Delete what is not needed, or enlarge the server's file system.");
    }
  }

  private ControlException failed(String why) {
    return ControlException.of(
        ErrorCode.IO_FAILED,
        "The download from " + url.getHost() + " failed: " + why + ".",
        "Check the URL, for example with curl on the server, and import again.");
  }
}
