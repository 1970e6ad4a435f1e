package io.malleable.hardware;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;

/**
 * The QEMU of one machine directory, found by its process number. A number may have passed on to
 * another program, so it counts only while that process runs with this directory's pid file among
 * its arguments; and {@link ProcessHandle} signals only the process that started when it was found.
 */
record QemuProcess(ProcessHandle handle, Path pidFile) {
  private static final Duration POLL = Duration.ofMillis(2);

  static Optional<QemuProcess> find(Path pidFile) throws IOException {
    long pid;
    try {
      pid = Long.parseLong(Files.readString(pidFile).strip());
    } catch (NoSuchFileException e) {
      return Optional.empty();
    } catch (NumberFormatException e) {
      // QEMU died between creating and writing it.
      return Optional.empty();
    }
    return ProcessHandle.of(pid)
        .map(handle -> new QemuProcess(handle, pidFile))
        .filter(QemuProcess::runs);
  }

  /** False also for a zombie that nobody has waited for: it has no arguments any more. */
  boolean runs() {
    try {
      byte[] arguments = Files.readAllBytes(Path.of("/proc", "" + handle.pid(), "cmdline"));
      String line = "\0" + new String(arguments, StandardCharsets.UTF_8);
      return line.contains("\0-pidfile\0" + pidFile + "\0");
    } catch (IOException e) {
      // Gone: reading /proc of an ended process fails with ENOENT or ESRCH.
      return false;
    }
  }

  /** Waits for the end of the process. */
  boolean endsWithin(Duration limit) throws IOException {
    long deadlineNanos = System.nanoTime() + limit.toNanos();
    while (runs()) {
      if (System.nanoTime() > deadlineNanos) {
        return false;
      }
      try {
        Thread.sleep(POLL);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new InterruptedIOException("interrupted while waiting for QEMU to end");
      }
    }
    return true;
  }
}
