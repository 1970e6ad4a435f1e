package io.malleable.volume.local;

import static io.malleable.volume.VolumeStoreContract.assertRefused;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;

import io.malleable.volume.TransferProgress;
import io.malleable.volume.Volume;
import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A store that was written before maps had seals is read, and upgraded. */
class EarlierStoreTest {
  private static final UUID IMAGE = new UUID(0, 1);
  private static final UUID DISK = new UUID(0, 2);
  private static final UUID SNAPSHOT = new UUID(0, 3);
  private static final UUID CLONE = new UUID(0, 4);

  @TempDir Path directory;

  @BeforeEach
  void unpack() throws IOException {
    InputStream resource = getClass().getResourceAsStream("store-version-1.zip");
    assertNotNull(resource);
    try (ZipInputStream zip = new ZipInputStream(resource)) {
      for (ZipEntry entry = zip.getNextEntry(); entry != null; entry = zip.getNextEntry()) {
        Path file = directory.resolve(entry.getName());
        Files.createDirectories(file.getParent());
        Files.write(file, zip.readAllBytes());
      }
    }
  }

  /** The first byte of each of the first blocks, which are filled with it. */
  private static void assertBlocks(LocalVolumeStore store, UUID id, int... values)
      throws IOException {
    try (Volume volume = store.open(id)) {
      for (int block = 0; block < values.length; block++) {
        ByteBuffer found = ByteBuffer.allocate(4096);
        volume.read(block * 4096L, found);
        byte[] expected = new byte[4096];
        Arrays.fill(expected, (byte) values[block]);
        assertEquals(ByteBuffer.wrap(expected), found.flip(), "block " + block + " of " + id);
      }
    }
  }

  private static void assertContent(LocalVolumeStore store) throws IOException {
    assertBlocks(store, IMAGE, 1, 2, 0, 0, 0);
    assertBlocks(store, DISK, 0, 3, 0, 0, 5, 0, 0, 6);
    assertBlocks(store, SNAPSHOT, 1, 3, 0, 0, 4);
    assertBlocks(store, CLONE, 1, 3, 0, 0, 4, 0, 0, 0, 0, 7);
  }

  private List<Integer> mapVersions() throws IOException {
    StoreFiles files = new LocalFiles(directory);
    return files.list(StoreLayout.LAYERS).stream()
        .filter(name -> name.endsWith(StoreLayout.MAP))
        .map(name -> {
          try {
            UUID layer = UUID.fromString(name.substring(0, name.indexOf('.')));
            return MapHeader.read(files, layer).version();
          } catch (IOException e) {
            throw new AssertionError(e);
          }
        })
        .sorted()
        .toList();
  }

  @Test
  void itsVolumesAreWhatTheyWereAndItsMapsAreUpgradedInTheBackgroundOrByTheFirstFlush()
      throws IOException {
    assertEquals(List.of(1, 1, 1, 1), mapVersions());
    try (LocalVolumeStore store = LocalVolumeStore.open(directory)) {
      assertContent(store);
      store.maintain();
      assertContent(store);
      for (UUID disk : List.of(DISK, CLONE)) {
        try (Volume volume = store.open(disk)) {
          volume.write(20 * 4096, ByteBuffer.allocate(4096).put(0, (byte) 9));
        }
      }
    }
    assertEquals(List.of(2, 2, 2, 2), mapVersions());
    try (LocalVolumeStore store = LocalVolumeStore.open(directory)) {
      assertContent(store);
      assertEquals(List.of(), store.verify(TransferProgress.NONE).damages());
    }
  }

  @Test
  void aFrozenMapThatWasCutOffIsRefusedAsItsChecksumsKnowMoreBlocks() throws IOException {
    Path map = directory.resolve(StoreLayout.map(imageLayer()));
    byte[] whole = Files.readAllBytes(map);
    for (int length = MapLog.HEADER_BYTES_OF_1; length < whole.length; length++) {
      Files.write(map, Arrays.copyOf(whole, length));
      try (LocalVolumeStore store = LocalVolumeStore.open(directory)) {
        assertRefused(Reason.CORRUPT, () -> store.open(IMAGE));
        assertRefused(Reason.CORRUPT, () -> store.open(DISK));
      }
    }
  }

  private UUID imageLayer() throws IOException {
    return VolumeRecord.read(new LocalFiles(directory), IMAGE).layer();
  }
}
