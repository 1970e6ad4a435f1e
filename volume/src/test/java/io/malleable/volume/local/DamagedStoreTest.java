package io.malleable.volume.local;

import static io.malleable.volume.VolumeStoreContract.assertRefused;
import static io.malleable.volume.VolumeStoreContract.bytes;
import static io.malleable.volume.VolumeStoreContract.id;
import static io.malleable.volume.VolumeStoreContract.pattern;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.volume.TransferProgress;
import io.malleable.volume.Volume;
import io.malleable.volume.VolumeException.Reason;
import io.malleable.volume.VolumeStore;
import io.malleable.volume.VolumeStoreContract;
import io.malleable.volume.local.LocalVolumeStore.Settings;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * A store some of whose files are lost or damaged: what does not need them goes on, what does says
 * so, and nothing is deleted that the damaged file may have named.
 */
class DamagedStoreTest {
  private static final int MIB = VolumeStoreContract.MIB;
  private static final int VERSION_BYTE = 11;

  @TempDir Path directory;

  private final UUID image = id();
  private final UUID disk = id();
  private final UUID snapshot = id();
  private final UUID other = id();

  /** A disk cloned from an image, with a snapshot, each with bytes of its own; and another disk. */
  @BeforeEach
  void fill() throws IOException {
    try (LocalVolumeStore store = open()) {
      store.create(image, MIB);
      write(store, image, 0, 1);
      store.seal(image);
      store.clone(disk, image, MIB);
      write(store, disk, 1, 2);
      store.snapshot(snapshot, disk);
      write(store, disk, 2, 3);
      store.create(other, MIB);
      write(store, other, 0, 4);
      store.maintain();
    }
  }

  private LocalVolumeStore open() throws IOException {
    return LocalVolumeStore.open(new LocalFiles(directory), new Settings(0));
  }

  private static void write(VolumeStore store, UUID id, int block, int seed) throws IOException {
    try (Volume volume = store.open(id)) {
      volume.write(block * 4096L, pattern(seed, 4096));
    }
  }

  private static void assertHolds(VolumeStore store, UUID id, int block, int seed)
      throws IOException {
    try (Volume volume = store.open(id)) {
      assertArrayEquals(
          bytes(pattern(seed, 4096)), VolumeStoreContract.read(volume, block * 4096L, 4096));
    }
  }

  private void assertAllIsThere() throws IOException {
    try (LocalVolumeStore store = open()) {
      assertHolds(store, disk, 0, 1);
      assertHolds(store, disk, 1, 2);
      assertHolds(store, disk, 2, 3);
      assertHolds(store, snapshot, 0, 1);
      assertHolds(store, snapshot, 1, 2);
      assertHolds(store, other, 0, 4);
    }
  }

  private UUID layerOf(UUID volume) throws IOException {
    return VolumeRecord.read(new LocalFiles(directory), volume).layer();
  }

  private Path path(String name) {
    return directory.resolve(name);
  }

  /** Names, sizes and times of all files. */
  private Map<String, List<Object>> files() throws IOException {
    Map<String, List<Object>> found = new HashMap<>();
    try (Stream<Path> all = Files.walk(directory)) {
      for (Path file : all.filter(Files::isRegularFile).toList()) {
        FileTime modified = Files.getLastModifiedTime(file);
        found.put(directory.relativize(file).toString(), List.of(Files.size(file), modified));
      }
    }
    return found;
  }

  private static void damage(Path file, int position, int value) throws IOException {
    byte[] content = Files.readAllBytes(file);
    content[position] = (byte) value;
    Files.write(file, content);
  }

  private static VerifyReport.Damage damageOf(VerifyReport report, UUID volume) {
    return report.damages().stream()
        .filter(damage -> damage.volumes().contains(volume))
        .findFirst()
        .orElseThrow(() -> new AssertionError(volume + " is not in " + report.damages()));
  }

  @ParameterizedTest
  @CsvSource({"TOP", "MIDDLE", "LOWEST"})
  void aLostMapTakesNothingElseWithIt(String which) throws IOException {
    UUID lost = layerOf(which.equals("TOP") ? disk : which.equals("MIDDLE") ? snapshot : image);
    Path map = path(StoreLayout.map(lost));
    byte[] content = Files.readAllBytes(map);
    Files.delete(map);
    Set<String> before = new HashSet<>(files().keySet());
    try (LocalVolumeStore store = open()) {
      assertRefused(Reason.CORRUPT, () -> store.open(disk));
      assertHolds(store, other, 0, 4);
      // Who stands on what is not known, so that this deletes one record and no layer.
      store.delete(which.equals("LOWEST") ? other : snapshot);
      store.maintain();
      assertTrue(
          damageOf(store.verify(TransferProgress.NONE), disk).what().contains(lost.toString()));
    }
    before.remove(StoreLayout.volume(which.equals("LOWEST") ? other : snapshot));
    Set<String> after = files().keySet();
    before.removeIf(name -> after.contains(name));
    assertEquals(Set.of(), before, "deleted though something is damaged");
    Files.write(map, content);
    try (LocalVolumeStore store = open()) {
      assertHolds(store, disk, 0, 1);
      assertHolds(store, disk, 1, 2);
      assertHolds(store, disk, 2, 3);
    }
  }

  @Test
  void whatNobodyNeedsDoesNotPassForDamageWhenWhatItStoodOnIsGone() throws IOException {
    // As a power cut leaves it between the deletion of two layers, the lower one first.
    UUID upper = id();
    UUID lower = id();
    StoreFiles files = new LocalFiles(directory);
    files.create(StoreLayout.data(upper)).close();
    MapLog.write(files, upper, Optional.of(lower), new BlockMap());
    try (LocalVolumeStore store = open()) {
      store.maintain();
      assertEquals(List.of(), store.verify(TransferProgress.NONE).damages());
    }
    assertFalse(Files.exists(path(StoreLayout.map(upper))), "garbage that is never collected");
  }

  @Test
  void aSnapshotWhoseRecordIsDamagedKeepsItsLayerUntilItIsDeleted() throws IOException {
    Path record = path(StoreLayout.volume(snapshot));
    byte[] good = Files.readAllBytes(record);
    damage(record, 40, 0x55);
    try (LocalVolumeStore store = open()) {
      assertRefused(Reason.CORRUPT, () -> store.find(snapshot));
      store.maintain();
      assertEquals(Set.of(image, disk, other), ids(store));
    }
    Files.write(record, good);
    assertAllIsThere();
    damage(record, 40, 0x55);
    try (LocalVolumeStore store = open()) {
      store.delete(disk);
      store.maintain();
      assertTrue(Files.exists(path(StoreLayout.data(layerFrom(good)))), "the snapshot's layer");
      store.delete(snapshot);
      store.delete(snapshot);
      assertEquals(Optional.empty(), store.find(snapshot));
      assertEquals(List.of(), store.verify(TransferProgress.NONE).damages());
    }
    try (LocalVolumeStore store = open()) {
      store.maintain();
      assertFalse(Files.exists(path(StoreLayout.data(layerFrom(good)))), "its space is given back");
      assertHolds(store, other, 0, 4);
    }
  }

  private static UUID layerFrom(byte[] record) {
    ByteBuffer buffer = ByteBuffer.wrap(record).position(40);
    return Formats.readId(buffer);
  }

  private static Set<UUID> ids(VolumeStore store) throws IOException {
    Set<UUID> found = new HashSet<>();
    store.list().forEach(info -> found.add(info.id()));
    return found;
  }

  @Test
  void aDamagedImageWithClonesIsNotDeleted() throws IOException {
    damage(path(StoreLayout.volume(image)), 40, 0x55);
    try (LocalVolumeStore store = open()) {
      assertRefused(Reason.HAS_DEPENDANTS, () -> store.delete(image));
      assertHolds(store, disk, 0, 1);
    }
  }

  @Test
  void aVolumeWhoseLayerIsLostCanBeDeleted() throws IOException {
    Files.delete(path(StoreLayout.map(layerOf(disk))));
    try (LocalVolumeStore store = open()) {
      store.delete(disk);
      assertEquals(Optional.empty(), store.find(disk));
    }
    try (LocalVolumeStore store = open()) {
      assertEquals(List.of(), store.verify(TransferProgress.NONE).damages());
      assertHolds(store, snapshot, 1, 2);
    }
  }

  @Test
  void aLostDataFileIsNamedAndTheListStaysWhole() throws IOException {
    Files.delete(path(StoreLayout.data(layerOf(disk))));
    try (LocalVolumeStore store = open()) {
      assertEquals(Set.of(image, disk, snapshot, other), ids(store));
      assertTrue(store.capacity().allocatedBytes() > 0);
      VerifyReport report = store.verify(TransferProgress.NONE);
      assertEquals(1, report.damages().size(), report.damages()::toString);
      assertTrue(damageOf(report, disk).what().contains(".data"));
    }
  }

  @ParameterizedTest
  @CsvSource({
    "0,            88, CORRUPT",
    "VERSION_BYTE, 3,  FORMAT_TOO_NEW",
    "VERSION_BYTE, 0,  FORMAT_TOO_OLD",
    "20,           99, CORRUPT"
  })
  void aMapThatIsDamagedTooOldOrTooNewSaysWhich(String position, int value, Reason reason)
      throws IOException {
    UUID layer = layerOf(disk);
    damage(path(StoreLayout.map(layer)), position(position), value);
    try (LocalVolumeStore store = open()) {
      assertRefused(reason, () -> store.open(disk));
      assertHolds(store, snapshot, 1, 2);
      VerifyReport.Damage damage = damageOf(store.verify(TransferProgress.NONE), disk);
      assertTrue(damage.what().contains(layer.toString()), damage.what());
      assertEquals(List.of(disk), damage.volumes());
    }
  }

  private static int position(String text) {
    return text.equals("VERSION_BYTE") ? VERSION_BYTE : Integer.parseInt(text);
  }

  @ParameterizedTest
  @CsvSource({
    "0,            88, CORRUPT",
    "VERSION_BYTE, 3,  FORMAT_TOO_NEW",
    "VERSION_BYTE, 0,  FORMAT_TOO_OLD",
    "20,           99, CORRUPT"
  })
  void aMapBelowThatIsDamagedTooOldOrTooNewSaysWhich(String position, int value, Reason reason)
      throws IOException {
    damage(path(StoreLayout.map(layerOf(image))), position(position), value);
    try (LocalVolumeStore store = open()) {
      assertRefused(reason, () -> store.open(disk));
      List<VerifyReport.Damage> damages = store.verify(TransferProgress.NONE).damages();
      Set<UUID> named = new HashSet<>();
      damages.forEach(damage -> named.addAll(damage.volumes()));
      assertEquals(Set.of(image, snapshot, disk), named);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "0,            88, 'starts with'",
    "VERSION_BYTE, 2,  'use a newer release'",
    "VERSION_BYTE, 0,  'with an older release'",
    "20,           99, 'checksum'",
    "40,           99, 'checksum of the index'",
    "-1,           0,  'cut off'"
  })
  void checksumsThatCannotBeReadAreNamedAndComputedAnew(String position, int value, String told)
      throws IOException {
    Path sums = path(StoreLayout.sums(layerOf(image)));
    if (position.equals("-1")) {
      Files.write(sums, Arrays.copyOf(Files.readAllBytes(sums), 5000));
    } else {
      damage(sums, position(position), value);
    }
    try (LocalVolumeStore store = open()) {
      VerifyReport report = store.verify(TransferProgress.NONE);
      assertEquals(1, report.damages().size(), report.damages()::toString);
      assertTrue(report.damages().getFirst().what().contains(told), report.damages()::toString);
      assertEquals(List.of(), report.damages().getFirst().volumes());
      assertHolds(store, image, 0, 1);
      store.maintain();
      VerifyReport again = store.verify(TransferProgress.NONE);
      assertEquals(List.of(), again.damages());
      assertEquals(report.checkedBytes() + 4096, again.checkedBytes());
    }
  }

  @ParameterizedTest
  @CsvSource({
    "0,            88, 'starts with'",
    "VERSION_BYTE, 2,  'use a newer release'",
    "VERSION_BYTE, 0,  'with an older release'",
    "20,           99, 'checksum'"
  })
  void aPackThatCannotBeReadIsNamedAndReplaced(String position, int value, String told)
      throws IOException {
    Path pack = packTheDisk();
    damage(pack, position(position), value);
    try (LocalVolumeStore store = LocalVolumeStore.openForReading(directory)) {
      VerifyReport report = store.verify(TransferProgress.NONE);
      assertEquals(1, report.damages().size(), report.damages()::toString);
      assertTrue(report.damages().getFirst().what().contains(told), report.damages()::toString);
      assertEquals(List.of(), report.damages().getFirst().volumes());
    }
    assertTrue(Files.exists(pack), "looking changes nothing");
    assertAllIsThere();
    assertFalse(Files.exists(pack));
  }

  /** Snapshots until the chain is deep enough; returns the pack. */
  private Path packTheDisk() throws IOException {
    try (LocalVolumeStore store =
        LocalVolumeStore.open(new LocalFiles(directory), new Settings(0, 3))) {
      for (int i = 0; i < 3; i++) {
        write(store, disk, 10 + i, 5);
        store.snapshot(id(), disk);
      }
      try (Volume held = store.open(disk)) {
        store.maintain();
        assertArrayEquals(
            bytes(pattern(5, 4096)), VolumeStoreContract.read(held, 10 * 4096L, 4096));
      }
    }
    try (Stream<Path> layers = Files.list(directory.resolve(StoreLayout.LAYERS))) {
      return layers.filter(file -> file.toString().endsWith(".pack")).findFirst().orElseThrow();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "0,            88, 'starts with'",
    "VERSION_BYTE, 0,  'with an older release'",
    "VERSION_BYTE, 2,  'use a newer release'",
    "20,           99, 'checksum'",
    "60,           99, 'checksum of the data'",
    "-1,           0,  'cut off'"
  })
  void anIntentThatCannotBeReadIsNamedAndStopsNoOtherVolume(String position, int value, String told)
      throws IOException {
    StoreFiles files = new LocalFiles(directory);
    WriteIntent.publish(files, disk, 0, pattern(6, 4096));
    Path intent = path(StoreLayout.intent(disk));
    if (position.equals("-1")) {
      Files.write(intent, Arrays.copyOf(Files.readAllBytes(intent), 1000));
    } else {
      damage(intent, position(position), value);
    }
    boolean replayedLater = position.equals("VERSION_BYTE");
    try (LocalVolumeStore store = open()) {
      assertTrue(damageOf(store.verify(TransferProgress.NONE), disk).what().contains(told));
      assertHolds(store, snapshot, 1, 2);
      if (replayedLater) {
        assertRefused(Reason.UNAVAILABLE, () -> store.open(disk));
        store.rollback(disk, snapshot);
      }
      assertHolds(store, disk, 0, 1);
    }
    assertEquals(!replayedLater, Files.exists(intent), "it may be the only copy");
  }

  @Test
  void aStoreOpenedForReadingIsCheckedWithoutAnyChangeToIt() throws IOException {
    Files.write(path(StoreLayout.map(id()) + StoreLayout.TEMPORARY), new byte[10]);
    Files.write(path(StoreLayout.data(id())), new byte[10]);
    WriteIntent.publish(new LocalFiles(directory), disk, 0, pattern(6, 4096));
    Files.delete(path(StoreLayout.sums(layerOf(image))));
    Map<String, List<Object>> before = files();
    try (LocalVolumeStore store = LocalVolumeStore.openForReading(directory)) {
      VerifyReport report = store.verify(TransferProgress.NONE);
      assertEquals(List.of(), report.damages());
      assertTrue(report.uncheckedBytes() >= 4096);
      assertThrows(IOException.class, () -> store.create(id(), MIB));
      assertThrows(IOException.class, () -> store.delete(disk));
      assertHolds(store, image, 0, 1);
      assertRefused(Reason.UNAVAILABLE, () -> LocalVolumeStore.openForReading(directory));
    }
    Map<String, List<Object>> after = files();
    before.remove("lock");
    after.remove("lock");
    assertEquals(before, after);
  }
}
