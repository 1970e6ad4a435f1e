package io.malleable.volume.local;

import static io.malleable.volume.VolumeStoreContract.assertRefused;
import static io.malleable.volume.VolumeStoreContract.pattern;
import static io.malleable.volume.VolumeStoreContract.read;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.volume.Volume;
import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import io.malleable.volume.VolumeStoreContract;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.UUID;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A copy of the files of a store is used only when it was made while they did not change. */
class CopiedStoreTest {
  private static final UUID DISK = UUID.randomUUID();

  @TempDir Path directory;
  private Path original = Path.of("");
  private Path copy = Path.of("");

  @BeforeEach
  void name() {
    original = directory.resolve("original");
    copy = directory.resolve("copy");
  }

  private void copy() throws IOException {
    try (Stream<Path> files = Files.walk(original)) {
      for (Path file : files.toList()) {
        Files.copy(file, copy.resolve(original.relativize(file)));
      }
    }
  }

  private static void write(LocalVolumeStore store) throws IOException {
    store.create(DISK, 1 << 20);
    try (Volume volume = store.open(DISK)) {
      volume.write(0, pattern(1, 4096));
    }
  }

  @Test
  void aCopyOfAStoreThatIsOpenIsRefusedAndSaysWhatToDo() throws IOException {
    try (LocalVolumeStore store = LocalVolumeStore.open(original)) {
      write(store);
      copy();
    }
    VolumeException refused = assertRefused(Reason.CORRUPT, () -> LocalVolumeStore.open(copy));
    assertTrue(String.valueOf(refused.getMessage()).contains("while the server is stopped"));
    assertRefused(Reason.CORRUPT, () -> LocalVolumeStore.openForReading(copy));
    // The remedy of last resort that the message names.
    Files.delete(copy.resolve(StoreMark.FILE));
    LocalVolumeStore.open(copy).close();
  }

  @Test
  void aCopyOfAStoreThatWasClosedIsUsed() throws IOException {
    try (LocalVolumeStore store = LocalVolumeStore.open(original)) {
      write(store);
    }
    copy();
    for (Path each : new Path[] {copy, original, copy}) {
      try (LocalVolumeStore store = LocalVolumeStore.open(each);
          Volume volume = store.open(DISK)) {
        assertArrayEquals(VolumeStoreContract.bytes(pattern(1, 4096)), read(volume, 0, 4096));
      }
    }
  }

  @Test
  void aMarkThatIsDamagedIsWrittenAnew() throws IOException {
    LocalVolumeStore.open(original).close();
    Files.write(original.resolve(StoreMark.FILE), new byte[3]);
    LocalVolumeStore.open(original).close();
    copy();
    LocalVolumeStore.open(copy).close();
  }
}
