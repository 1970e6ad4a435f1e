package io.malleable.lab;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The small bootable image: a raw disk of 128 MiB for BIOS and UEFI, made from the distribution's
 * own packages. It finds its drive by iBFT, counts its boots, says {@code M2 READY boot=N} on the
 * serial console and to the server, and then gives a shell on that console.
 *
 * <p>The work is done by the script {@code tiny/build} among this room's resources; here it is
 * unpacked, run and watched.
 */
public final class TinyImage {
  private static final List<String> FILES =
      List.of(
          "build",
          "functions",
          "grub-early.cfg",
          "grub.cfg",
          "initramfs-init",
          "iscsid.conf",
          "m2-writer",
          "root-init");

  private static final Pattern PROGRESS = Pattern.compile("(\\d+)/(\\d+) (.*)");
  private static final Duration LIMIT = Duration.ofMinutes(20);
  private static final int REMEMBERED_LINES = 40;

  /** What the builder is at. */
  @FunctionalInterface
  public interface Progress {
    /**
     * A step begins.
     *
     * @param step from 1; equal to {@code steps} in the last one
     */
    void onStep(int step, int steps, String text);
  }

  private final Path cache;
  private final Map<String, String> environment;

  /**
   * A builder.
   *
   * @param cache keeps packages and images, and is made when it is not there
   * @param environment of the programs that the builder calls: the search path, proxy settings
   */
  public TinyImage(Path cache, Map<String, String> environment) {
    this.cache = cache.toAbsolutePath();
    this.environment = Map.copyOf(environment);
  }

  /** Where this user keeps what can be made again: {@code $XDG_CACHE_HOME/m2}. */
  public static Path defaultCache(Map<String, String> environment) {
    String cacheHome = environment.getOrDefault("XDG_CACHE_HOME", "");
    return cacheHome.isBlank()
        ? Path.of(environment.getOrDefault("HOME", System.getProperty("user.home")), ".cache", "m2")
        : Path.of(cacheHome, "m2");
  }

  /**
   * The image, built now or before. It lies in the cache and must not be changed.
   *
   * @throws IOException when it cannot be built; the message says why and what helps
   */
  public Path build(Progress progress) throws IOException {
    Files.createDirectories(cache);
    Path scripts = Files.createTempDirectory(cache, "builder.");
    try {
      for (String file : FILES) {
        try (InputStream in = TinyImage.class.getResourceAsStream("tiny/" + file)) {
          if (in == null) {
            throw new IllegalStateException("resource tiny/" + file + " is missing");
          }
          Files.copy(in, scripts.resolve(file));
        }
      }
      return run(scripts, progress);
    } finally {
      for (String file : FILES) {
        Files.deleteIfExists(scripts.resolve(file));
      }
      Files.deleteIfExists(scripts);
    }
  }

  private Path run(Path scripts, Progress progress) throws IOException {
    Path answer = Files.createTempFile(cache, "answer.", "");
    ProcessBuilder builder =
        new ProcessBuilder("bash", scripts.resolve("build").toString(), cache.toString());
    builder.environment().clear();
    builder.environment().putAll(environment);
    builder.redirectInput(Path.of("/dev/null").toFile());
    builder.redirectOutput(answer.toFile());
    Process process = null;
    try {
      process = builder.start();
      Deque<String> said = new ArrayDeque<>();
      Process running = process;
      Thread watchdog = Thread.ofVirtual().start(() -> endAfterLimit(running));
      try (BufferedReader lines = process.errorReader()) {
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
          note(line, said, progress);
        }
      }
      int status = process.waitFor();
      watchdog.interrupt();
      Path image = Path.of(Files.readString(answer).strip());
      if (status != 0 || !Files.isRegularFile(image)) {
        throw new IOException(
            said.isEmpty() ? "the builder ended with status " + status : String.join("\n", said));
      }
      return image;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted while the image was being built");
    } finally {
      if (process != null) {
        process.descendants().forEach(ProcessHandle::destroy);
        process.destroy();
      }
      Files.deleteIfExists(answer);
    }
  }

  private static void note(String line, Deque<String> said, Progress progress) {
    Matcher step = PROGRESS.matcher(line);
    if (step.matches()) {
      progress.onStep(
          Integer.parseInt(step.group(1)), Integer.parseInt(step.group(2)), step.group(3));
      said.clear();
      return;
    }
    said.addLast(line.startsWith("error: ") ? line.substring("error: ".length()) : line);
    if (said.size() > REMEMBERED_LINES) {
      said.removeFirst();
    }
  }

  /** Downloads may hang; nothing waits for ever. */
  private static void endAfterLimit(Process process) {
    try {
      if (!process.waitFor(LIMIT.toSeconds(), TimeUnit.SECONDS)) {
        process.descendants().forEach(ProcessHandle::destroyForcibly);
        process.destroyForcibly();
      }
    } catch (InterruptedException e) {
      // The usual end: the builder was done before.
    }
  }
}
