package io.malleable.hardware;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.EnumSet;
import java.util.Set;

/**
 * Keeps what a machine writes to its serial port bounded: one log since the last power-on and one
 * before it, each about {@link #MAX_BYTES} at most. QEMU itself appends for ever.
 */
final class ConsoleLog {
  static final long MAX_BYTES = 8L << 20;

  private final MachineDirectory directory;

  ConsoleLog(MachineDirectory directory) {
    this.directory = directory;
  }

  /** Begins the log of a new power-on. Only while QEMU does not run. */
  void startAnew() throws IOException {
    try {
      Files.move(
          directory.consoleLog(),
          directory.previousConsoleLog(),
          StandardCopyOption.REPLACE_EXISTING);
    } catch (NoSuchFileException e) {
      // The first power-on of this machine.
    }
  }

  /**
   * Cuts a log that has become too long. QEMU appends, so it goes on at the new end; what it writes
   * between the copy and the cut is lost, as on a terminal that scrolls.
   */
  void trim() throws IOException {
    Path log = directory.consoleLog();
    Set<StandardOpenOption> options = EnumSet.of(StandardOpenOption.READ, StandardOpenOption.WRITE);
    try (FileChannel channel = FileChannel.open(log, options)) {
      if (channel.size() <= MAX_BYTES) {
        return;
      }
      Files.copy(log, directory.previousConsoleLog(), StandardCopyOption.REPLACE_EXISTING);
      channel.truncate(0);
    } catch (NoSuchFileException e) {
      // Never powered on.
    }
  }
}
