package io.malleable.app;

import io.malleable.control.ControlException;
import io.malleable.control.ErrorCode;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.UUID;
import java.util.function.BooleanSupplier;
import java.util.function.DoubleConsumer;
import java.util.stream.Stream;

/** Fetches files over HTTP. Bounded in space by what is free, in time by how long nothing comes. */
final class Download {
  private static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(20);
  private static final Duration FIRST_PAUSE = Duration.ofSeconds(1);
  private static final String SUFFIX = ".download";

  private final Path directory;
  private final long reserveBytes;
  private final Duration firstPause;

  /**
   * Fetches into a directory, from which it removes what a killed server left.
   *
   * @param reserveBytes what stays free on its file system
   */
  Download(Path directory, long reserveBytes) throws IOException {
    this(directory, reserveBytes, FIRST_PAUSE);
  }

  /** With another pause before the first attempt to go on; each one after that is twice as long. */
  Download(Path directory, long reserveBytes, Duration firstPause) throws IOException {
    this.directory = directory;
    this.reserveBytes = reserveBytes;
    this.firstPause = firstPause;
    Files.createDirectories(directory);
    try (Stream<Path> files = Files.list(directory)) {
      for (Path leftover : files.filter(f -> f.toString().endsWith(SUFFIX)).toList()) {
        Files.delete(leftover);
      }
    }
  }

  /** Where {@link #fetch} puts what it fetches under that name. */
  Path file(UUID name) {
    return directory.resolve(name + SUFFIX);
  }

  /**
   * Fetches into a new file, which is the caller's to remove; on failure there is none.
   *
   * @param progress hears the part done, 0 to 1, where the length is known
   */
  Path fetch(URI url, UUID name, DoubleConsumer progress, BooleanSupplier cancelled)
      throws IOException {
    Path file = file(name);
    Files.deleteIfExists(file);
    boolean whole = false;
    try (HttpClient client =
        HttpClient.newBuilder()
            .connectTimeout(CONNECT_TIMEOUT)
            .followRedirects(HttpClient.Redirect.NORMAL)
            .build()) {
      try {
        new Transfer(client, url, file, reserveBytes, progress, cancelled).run(firstPause);
      } finally {
        client.shutdownNow();
      }
      whole = true;
      return file;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw ControlException.of(ErrorCode.ABORTED, "The download was interrupted.");
    } finally {
      if (!whole) {
        Files.deleteIfExists(file);
      }
    }
  }
}
