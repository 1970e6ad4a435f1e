package io.malleable.volume.local;

import static io.malleable.volume.VolumeStoreContract.assertRefused;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.volume.Volume;
import io.malleable.volume.VolumeException.Reason;
import io.malleable.volume.local.LocalVolumeStore.Settings;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.UUID;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** One tenant discards every second block: what that costs in memory and in files is bounded. */
class MapBoundsTest {
  private static final long GIB = 1L << 30;
  private static final int BLOCK_BYTES = BlockMap.BLOCK_BYTES;

  @TempDir Path directory;

  private long bytesOfMaps() throws IOException {
    try (Stream<Path> files = Files.list(directory.resolve(StoreLayout.LAYERS))) {
      long sum = 0;
      for (Path file : files.filter(name -> !name.toString().endsWith(".data")).toList()) {
        sum += Files.size(file);
      }
      return sum;
    }
  }

  /** A disk over an image, so that what is discarded must be remembered. */
  private static Volume cloneOf(LocalVolumeStore store, UUID disk, long sizeBytes)
      throws IOException {
    UUID image = UUID.randomUUID();
    store.create(image, sizeBytes);
    store.seal(image);
    store.clone(disk, image, sizeBytes);
    return store.open(disk);
  }

  private static void discardEverySecondBlock(Volume volume) throws IOException {
    for (long at = 0; at < volume.sizeBytes(); at += 2 * BLOCK_BYTES) {
      volume.discard(at, BLOCK_BYTES);
    }
  }

  private void everySecondBlockIsDiscarded(long sizeBytes) throws IOException {
    Settings settings = new Settings(0, 8, Pack.MAX_BLOCKS, 3 * (sizeBytes / 14_000 + (1 << 20)));
    UUID disk = UUID.randomUUID();
    try (LocalVolumeStore store = LocalVolumeStore.open(directory, settings)) {
      try (Volume volume = cloneOf(store, disk, sizeBytes)) {
        discardEverySecondBlock(volume);
        volume.flush();
        // Two bits for each block, written anew when four times that is history; and the tail.
        long bound = 5 * (sizeBytes / (4 * BLOCK_BYTES)) + (4 << 20);
        assertTrue(bytesOfMaps() < bound, bytesOfMaps() + " bytes of maps, " + bound + " at most");
      }
    }
    try (LocalVolumeStore store = LocalVolumeStore.open(directory, settings);
        Volume volume = store.open(disk)) {
      assertEquals(new Volume.Extent(Volume.Origin.ABSENT, sizeBytes), volume.extentAt(0));
      volume.write(BLOCK_BYTES, ByteBuffer.allocate(BLOCK_BYTES));
      assertEquals(Volume.Origin.OWN, volume.extentAt(BLOCK_BYTES).origin());
    }
  }

  @Test
  void itsMapTakesNoMoreThanTwoBitsForEachBlock() throws IOException {
    everySecondBlockIsDiscarded(16 * GIB);
  }

  @Test
  @Tag("long")
  void itsMapTakesNoMoreThanTwoBitsForEachBlockOfATebibyte() throws IOException {
    everySecondBlockIsDiscarded(1024 * GIB);
  }

  @Test
  void aDiskIsRefusedMorePiecesWhenItsMapIsAtTheLimitAndOthersGoOn() throws IOException {
    Settings settings = new Settings(0, 8, Pack.MAX_BLOCKS, 3 << 20);
    UUID disk = UUID.randomUUID();
    try (LocalVolumeStore store = LocalVolumeStore.open(directory, settings);
        Volume volume = cloneOf(store, disk, 64 * GIB);
        Volume other = cloneOf(store, UUID.randomUUID(), GIB)) {
      assertRefused(Reason.TOO_FRAGMENTED, () -> discardEverySecondBlock(volume));
      other.write(0, ByteBuffer.allocate(BLOCK_BYTES));
      // What makes the map smaller is let through, and then there is room again.
      volume.discard(0, volume.sizeBytes());
      volume.write(BLOCK_BYTES, ByteBuffer.allocate(BLOCK_BYTES));
    }
  }
}
