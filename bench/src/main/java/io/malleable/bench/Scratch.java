package io.malleable.bench;

import io.malleable.volume.posix.DiskSpace;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/**
 * The directory in which a benchmark makes what it measures. It goes when the benchmark ends, also
 * when it fails or is interrupted; so do the processes that were started for it.
 */
final class Scratch implements AutoCloseable {
  private static final int ATTEMPTS = 5;

  private final Path directory;
  private final Thread atShutdown;

  private Scratch(Path directory) {
    this.directory = directory;
    this.atShutdown = new Thread(this::abandon, "m2-bench-cleanup");
  }

  /**
   * Makes it in a directory of which the file system has so much space.
   *
   * @param neededBytes what the benchmark holds at most at any one time
   */
  static Scratch in(Path parent, long neededBytes) throws IOException {
    long usable = DiskSpace.usableBytes(parent);
    if (usable < neededBytes) {
      throw new IOException(
          String.format(
              Locale.ROOT,
              "%s has %d MiB left and the benchmark needs %d: free some, or leave the part 'reads' out with --parts",
              parent,
              usable >> 20,
              neededBytes >> 20));
    }
    Scratch scratch = new Scratch(Files.createTempDirectory(parent, "m2-bench"));
    Runtime.getRuntime().addShutdownHook(scratch.atShutdown);
    return scratch;
  }

  Path directory() {
    return directory;
  }

  /** A place of its own for one part. */
  Path part(String name) throws IOException {
    return Files.createDirectories(directory.resolve(name));
  }

  /** Gives the space of a part back before the next one begins. */
  void remove(String name) throws IOException {
    delete(directory.resolve(name));
  }

  @Override
  public void close() throws IOException {
    try {
      Runtime.getRuntime().removeShutdownHook(atShutdown);
    } catch (IllegalStateException e) {
      // Told to end meanwhile: the hook is at it.
      return;
    }
    delete(directory);
  }

  /** The process was told to end in the middle: nobody else stops what it started. */
  private void abandon() {
    ProcessHandle.current().descendants().forEach(ProcessHandle::destroyForcibly);
    try {
      Path ceph = directory.resolve(VolumeBench.CEPH);
      if (Files.exists(ceph.resolve("ceph.conf"))) {
        Programs.run(List.of("script/ceph-cluster", "stop", ceph.toString()));
      }
      delete(directory);
    } catch (IOException e) {
      System.err.println("cannot remove " + directory + ": " + e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Somebody who is being stopped may still add a file, so more than once. */
  private static void delete(Path directory) throws IOException {
    for (int attempt = 1; Files.exists(directory); attempt++) {
      try (Stream<Path> paths = Files.walk(directory)) {
        for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
          Files.deleteIfExists(path);
        }
      } catch (IOException | java.io.UncheckedIOException e) {
        if (attempt == ATTEMPTS) {
          throw new IOException("cannot remove " + directory, e);
        }
      }
    }
  }
}
