package io.malleable.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class SparseFileTest {
  @TempDir private Path directory;

  @Test
  void whatIsReadIsWhatWasWrittenInPartsOfAnySize() throws IOException {
    long seed = new Random().nextLong();
    Random random = new Random(seed);
    for (int round = 0; round < 50; round++) {
      byte[] content = new byte[random.nextInt(64 << 10)];
      for (int i = 0; i < 8 && content.length > 0; i++) {
        content[random.nextInt(content.length)] = (byte) (1 + random.nextInt(100));
      }
      Path file = directory.resolve("file-" + round);
      try (OutputStream out = new SparseFile(file)) {
        int at = 0;
        while (at < content.length) {
          int length = Math.min(content.length - at, 1 + random.nextInt(9000));
          out.write(content, at, length);
          at += length;
        }
      }
      assertArrayEquals(content, Files.readAllBytes(file), "seed " + seed);
    }
  }

  @Test
  void zeroesAreHoles() throws Exception {
    Path file = directory.resolve("holes");
    byte[] data = new byte[1 << 20];
    try (OutputStream out = new SparseFile(file)) {
      out.write(new byte[32 << 20]);
      Arrays.fill(data, (byte) 7);
      out.write(data);
      out.write(new byte[32 << 20]);
    }
    assertEquals(65L << 20, Files.size(file));
    Process du =
        new ProcessBuilder("du", "--block-size=1", file.toString())
            .redirectErrorStream(true)
            .start();
    String said = new String(du.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, du.waitFor(), said);
    long occupied = Long.parseLong(said.split("\\s", 2)[0]);
    assertTrue(occupied >= 1 << 20 && occupied < 4 << 20, said);
  }
}
