package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DirectoryReservationStoreTest {
  private static final UUID ONE = new UUID(1, 1);
  private static final UUID OTHER = new UUID(2, 2);

  @TempDir private Path scratch;

  private static List<String> names(Path directory) throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  @Test
  void whatIsSavedIsThereForTheNextServerUntilItIsRemoved() throws IOException {
    Path directory = scratch.resolve("made").resolve("here");
    DirectoryReservationStore store = new DirectoryReservationStore(directory);
    store.save(ONE, new byte[] {1, 2, 3});
    store.save(ONE, new byte[] {4});
    store.save(OTHER, new byte[] {5, 6});
    DirectoryReservationStore next = new DirectoryReservationStore(directory);
    assertArrayEquals(new byte[] {4}, next.load(ONE).orElseThrow());
    assertArrayEquals(new byte[] {5, 6}, next.load(OTHER).orElseThrow());
    next.save(ONE, new byte[0]);
    assertEquals(Optional.empty(), store.load(ONE));
    assertEquals(List.of(OTHER + ".reservations"), names(directory));
  }

  @Test
  void whatIsNotThereNeedNotBeRemoved() throws IOException {
    DirectoryReservationStore store = new DirectoryReservationStore(scratch);
    assertEquals(Optional.empty(), store.load(ONE));
    store.save(ONE, new byte[0]);
    assertEquals(List.of(), names(scratch));
  }

  @Test
  void whatACrashLeftOfASaveDoesNotCount() throws IOException {
    DirectoryReservationStore store = new DirectoryReservationStore(scratch);
    store.save(ONE, new byte[] {1});
    Files.write(scratch.resolve(ONE + ".new"), new byte[] {9, 9});
    assertArrayEquals(new byte[] {1}, store.load(ONE).orElseThrow());
    store.save(ONE, new byte[] {2});
    assertArrayEquals(new byte[] {2}, store.load(ONE).orElseThrow());
    assertEquals(List.of(ONE + ".reservations"), names(scratch));
    Files.write(scratch.resolve(ONE + ".new"), new byte[] {9, 9});
    store.save(ONE, new byte[0]);
    assertEquals(List.of(), names(scratch));
  }
}
