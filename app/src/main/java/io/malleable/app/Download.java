package io.malleable.app;

import io.malleable.control.ControlException;
import io.malleable.control.ErrorCode;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.UUID;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import java.util.function.DoubleConsumer;

/** Fetches files over HTTP. Bounded in space by what is free, in time by how long nothing comes. */
final class Download {
  private static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(20);
  private static final Duration ANSWER_TIMEOUT = Duration.ofSeconds(60);
  private static final long STALL_NANOS = TimeUnit.SECONDS.toNanos(60);
  private static final int CHUNK_BYTES = 256 * 1024;

  /** How often a download looks whether there is still space. */
  private static final long SPACE_CHECK_BYTES = 16L << 20;

  private final Path directory;
  private final long reserveBytes;

  /**
   * Fetches into a directory.
   *
   * @param reserveBytes what stays free on its file system
   */
  Download(Path directory, long reserveBytes) {
    this.directory = directory;
    this.reserveBytes = reserveBytes;
  }

  /** Where {@link #fetch} puts what it fetches under that name. */
  Path file(UUID name) {
    return directory.resolve(name + ".download");
  }

  /**
   * Fetches into a new file, which is the caller's to remove; on failure there is none.
   *
   * @param progress hears the part done, 0 to 1, where the length is known
   */
  Path fetch(URI url, UUID name, DoubleConsumer progress, BooleanSupplier cancelled)
      throws IOException {
    Files.createDirectories(directory);
    Path file = file(name);
    try (HttpClient client =
        HttpClient.newBuilder()
            .connectTimeout(CONNECT_TIMEOUT)
            .followRedirects(HttpClient.Redirect.NORMAL)
            .build()) {
      HttpResponse<InputStream> response =
          client.send(
              HttpRequest.newBuilder(url).timeout(ANSWER_TIMEOUT).GET().build(),
              BodyHandlers.ofInputStream());
      try (InputStream body = response.body()) {
        if (response.statusCode() != 200) {
          throw failed(url, "the answer was the status " + response.statusCode());
        }
        long totalBytes = response.headers().firstValueAsLong("Content-Length").orElse(-1);
        requireSpace(url, totalBytes);
        copy(url, body, file, totalBytes, progress, cancelled);
      } finally {
        client.shutdownNow();
      }
      return file;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      Files.deleteIfExists(file);
      throw ControlException.of(ErrorCode.ABORTED, "The download was interrupted.");
    } catch (IOException e) {
      Files.deleteIfExists(file);
      throw failed(url, String.valueOf(e.getMessage())).causedBy(e);
    } catch (RuntimeException e) {
      Files.deleteIfExists(file);
      throw e;
    }
  }

  private void copy(
      URI url,
      InputStream body,
      Path file,
      long totalBytes,
      DoubleConsumer progress,
      BooleanSupplier cancelled)
      throws IOException {
    AtomicLong lastNanos = new AtomicLong(System.nanoTime());
    byte[] chunk = new byte[CHUNK_BYTES];
    long received = 0;
    try (OutputStream out = Files.newOutputStream(file);
        ScheduledExecutorService watchdog =
            Executors.newSingleThreadScheduledExecutor(
                Thread.ofVirtual().name("download-watchdog").factory())) {
      // A body has no timeout of its own; closing it ends the read.
      var _ =
          watchdog.scheduleWithFixedDelay(
              () -> closeIfStalled(body, lastNanos.get(), cancelled), 1, 1, TimeUnit.SECONDS);
      try {
        for (int n = body.read(chunk); n >= 0; n = body.read(chunk)) {
          if (received / SPACE_CHECK_BYTES != (received + n) / SPACE_CHECK_BYTES) {
            requireSpace(url, SPACE_CHECK_BYTES);
          }
          out.write(chunk, 0, n);
          received += n;
          lastNanos.set(System.nanoTime());
          if (totalBytes > 0) {
            progress.accept(Math.min(1.0, (double) received / totalBytes));
          }
        }
      } finally {
        watchdog.shutdownNow();
      }
    }
    if (cancelled.getAsBoolean()) {
      throw ControlException.of(ErrorCode.ABORTED, "The download was aborted.");
    }
    if (totalBytes >= 0 && received != totalBytes) {
      throw failed(url, received + " of " + totalBytes + " bytes arrived");
    }
  }

  private static void closeIfStalled(InputStream body, long lastNanos, BooleanSupplier cancelled) {
    if (cancelled.getAsBoolean() || System.nanoTime() - lastNanos > STALL_NANOS) {
      try {
        body.close();
      } catch (IOException e) {
        // The reader sees the end of the stream either way.
      }
    }
  }

  private void requireSpace(URI url, long totalBytes) throws IOException {
    long freeBytes = Math.max(0, Files.getFileStore(directory).getUsableSpace() - reserveBytes);
    if (totalBytes > freeBytes) {
      throw ControlException.of(
          ErrorCode.OUT_OF_SPACE,
          "The file at "
              + url.getHost()
              + " needs "
              + totalBytes
              + " bytes more, "
              + freeBytes
              + " are free beyond the reserve of "
              + reserveBytes
              + ".",
          "Delete what is not needed, or enlarge the server's file system.");
    }
  }

  private static ControlException failed(URI url, String why) {
    return ControlException.of(
        ErrorCode.IO_FAILED,
        "The download from " + url.getHost() + " failed: " + why + ".",
        "Check the URL, for example with curl on the server, and import again.");
  }
}
