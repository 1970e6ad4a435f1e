package io.malleable.volume.local;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.volume.Volume;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * One byte of one file is changed, or the file is cut off there: whatever a volume then serves is
 * what it held, or it is refused, or a disk is named that may lack writes.
 */
class DamageAnywhereTest {
  private static final LocalVolumeStore.Settings SETTINGS = new LocalVolumeStore.Settings(0, 3);
  private static final int BLOCK_BYTES = BlockMap.BLOCK_BYTES;
  private static final int BLOCKS = 24;

  /** Of files that are not all structure, in a short run. */
  private static final int STRIDE = 509;

  private final Map<UUID, byte[]> expected = new HashMap<>();
  private final UUID image = UUID.randomUUID();
  private final UUID disk = UUID.randomUUID();
  private final UUID snapshot = UUID.randomUUID();
  private int nextValue = 1;

  private byte[] contentOf(UUID volume) {
    return expected.computeIfAbsent(volume, id -> new byte[BLOCKS * BLOCK_BYTES]);
  }

  private void put(Volume volume, int... blocks) throws IOException {
    byte[] content = contentOf(volume.id());
    for (int block : blocks) {
      byte[] bytes = new byte[BLOCK_BYTES];
      Arrays.fill(bytes, (byte) nextValue++);
      volume.write((long) block * BLOCK_BYTES, ByteBuffer.wrap(bytes));
      System.arraycopy(bytes, 0, content, block * BLOCK_BYTES, BLOCK_BYTES);
    }
  }

  private void clear(Volume volume, int block) throws IOException {
    volume.discard((long) block * BLOCK_BYTES, BLOCK_BYTES);
    Arrays.fill(contentOf(volume.id()), block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES, (byte) 0);
  }

  /** An image, a disk with several snapshots, packed and with checksums. */
  private LocalVolumeStore fill(FaultyFiles files) throws IOException {
    LocalVolumeStore store = LocalVolumeStore.open(files, SETTINGS);
    store.create(image, BLOCKS * BLOCK_BYTES);
    try (Volume volume = store.open(image)) {
      put(volume, 0, 1, 2, 5, 8, 9, 20);
    }
    store.seal(image);
    store.clone(disk, image, BLOCKS * BLOCK_BYTES);
    expected.put(disk, contentOf(image).clone());
    try (Volume volume = store.open(disk)) {
      for (int i = 0; i < 4; i++) {
        put(volume, i, 10 + i);
        clear(volume, 5 + i);
        UUID id = i == 2 ? snapshot : UUID.randomUUID();
        store.snapshot(id, disk);
        expected.put(id, contentOf(disk).clone());
      }
      store.maintain();
      put(volume, 3, 15, 21);
      clear(volume, 9);
      volume.flush();
      put(volume, 16);
      volume.flush();
    }
    return store;
  }

  private interface Damaging {
    void at(int position) throws IOException;
  }

  private static void everywhere(String name, int length, int stride, Damaging damaging)
      throws IOException {
    boolean structure = !name.endsWith(StoreLayout.DATA) && length < 4 * BLOCK_BYTES;
    for (int position = 0; position < length; position += structure ? 1 : stride) {
      damaging.at(position);
    }
  }

  private void damage(FaultyFiles files, int stride) throws IOException {
    int flips = 0;
    for (String name : files.names()) {
      byte[] good = files.content(name);
      everywhere(
          name,
          good.length,
          stride,
          position -> {
            byte[] flipped = good.clone();
            flipped[position] ^= (byte) (1 << position % 8);
            check(files, name, flipped, "byte " + position + " flipped");
            check(files, name, Arrays.copyOf(good, position), "cut off at " + position);
          });
      flips += good.length;
    }
    assertTrue(flips > 0);
  }

  private void check(FaultyFiles good, String name, byte[] damaged, String how) throws IOException {
    FaultyFiles files = good.afterProcessDeath();
    files.damage(name, damaged);
    try (LocalVolumeStore store = LocalVolumeStore.open(files, SETTINGS)) {
      for (Map.Entry<UUID, byte[]> volume : expected.entrySet()) {
        byte @Nullable [] found = readOrNull(store, volume.getKey());
        if (found != null && !Arrays.equals(volume.getValue(), found)) {
          int at = Arrays.mismatch(volume.getValue(), found);
          boolean told = store.lostWrites().contains(volume.getKey());
          assertTrue(
              told || unchecked(store, name, volume.getKey()),
              "%s, %s: volume %s differs at byte %d and nobody is told"
                  .formatted(name, how, volume.getKey(), at));
        }
      }
    }
  }

  /** Blocks of a layer that a disk writes to have no checksums. */
  private boolean unchecked(LocalVolumeStore store, String name, UUID volume) throws IOException {
    return name.endsWith(StoreLayout.DATA) && volume.equals(disk) && store.find(disk).isPresent();
  }

  private static byte @Nullable [] readOrNull(LocalVolumeStore store, UUID id) {
    ByteBuffer found = ByteBuffer.allocate(BLOCKS * BLOCK_BYTES);
    try (Volume volume = store.open(id)) {
      volume.read(0, found);
    } catch (IOException e) {
      return null;
    }
    return found.array();
  }

  private void damageAStoreThatWasClosed(int stride) throws IOException {
    FaultyFiles files = new FaultyFiles();
    fill(files).close();
    assertTrue(files.names().stream().anyMatch(name -> name.endsWith(StoreLayout.PACK)));
    assertTrue(files.names().stream().anyMatch(name -> name.endsWith(StoreLayout.SUMS)));
    damage(files, stride);
  }

  private void damageAStoreWhoseServerDied(int stride) throws IOException {
    FaultyFiles files = new FaultyFiles();
    LocalVolumeStore store = fill(files);
    Volume volume = store.open(disk);
    put(volume, 4, 17);
    volume.flush();
    put(volume, 18, 1);
    clear(volume, 2);
    FaultyFiles left = files.afterProcessDeath();
    assertTrue(left.names().stream().anyMatch(name -> name.endsWith(StoreLayout.TAIL)));
    damage(left, stride);
  }

  @Test
  void ofAStoreThatWasClosedIsFoundOrHarmless() throws IOException {
    damageAStoreThatWasClosed(STRIDE);
  }

  @Test
  void ofAStoreWhoseServerDiedIsFoundOrHarmless() throws IOException {
    damageAStoreWhoseServerDied(STRIDE);
  }

  @Test
  @Tag("long")
  void ofAnyByteOfAStoreThatWasClosedIsFoundOrHarmless() throws IOException {
    damageAStoreThatWasClosed(1);
  }

  @Test
  @Tag("long")
  void ofAnyByteOfAStoreWhoseServerDiedIsFoundOrHarmless() throws IOException {
    damageAStoreWhoseServerDied(1);
  }
}
