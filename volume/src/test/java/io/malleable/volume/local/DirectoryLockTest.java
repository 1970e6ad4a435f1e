package io.malleable.volume.local;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DirectoryLockTest {
  private static final int FREE = 10;
  private static final int LOCKED = 11;

  @TempDir Path directory;

  /** Another process, whose exit status says whether it got the lock. */
  static final class Other {
    private Other() {}

    public static void main(String[] arguments) throws IOException {
      int status;
      try (FileChannel channel =
          FileChannel.open(Path.of(arguments[0], "lock"), StandardOpenOption.WRITE)) {
        status = channel.tryLock() == null ? LOCKED : FREE;
      }
      System.exit(status);
    }
  }

  private int other() throws Exception {
    Path classes = Path.of(Other.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                classes.toString(),
                Other.class.getName(),
                directory.toString())
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    try {
      assertTrue(process.waitFor(2, TimeUnit.MINUTES), "the other process does not end");
      return process.exitValue();
    } finally {
      process.destroyForcibly();
    }
  }

  @Test
  void aSecondUseInTheSameProcessIsRefusedAndLetsNoOtherProcessIn() throws Exception {
    Path link = Files.createSymbolicLink(directory.resolve("link"), directory);
    DirectoryLock lock = DirectoryLock.take(directory);
    try {
      VolumeException refusal =
          assertThrows(VolumeException.class, () -> DirectoryLock.take(link).close());
      assertEquals(Reason.UNAVAILABLE, refusal.reason());
      assertEquals(LOCKED, other());
    } finally {
      lock.close();
    }
    assertEquals(FREE, other());
    DirectoryLock.take(directory).close();
  }
}
