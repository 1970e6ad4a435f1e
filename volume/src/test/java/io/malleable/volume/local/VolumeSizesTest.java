package io.malleable.volume.local;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.malleable.volume.Volume;
import io.malleable.volume.VolumeInfo;
import io.malleable.volume.local.LocalVolumeStore.Settings;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Lists cost what they list, however long the chains are that it stands on. */
class VolumeSizesTest {
  private static final int SNAPSHOTS = 30;
  private static final int BLOCK = 4096;

  @TempDir Path directory;

  /** A disk of an image, with snapshots that each hold another block of it; with all of these. */
  private static List<UUID> fill(LocalVolumeStore store) throws IOException {
    List<UUID> all = new ArrayList<>();
    UUID image = UUID.randomUUID();
    store.create(image, (SNAPSHOTS + 1) * BLOCK);
    store.seal(image);
    UUID disk = UUID.randomUUID();
    store.clone(disk, image, (SNAPSHOTS + 1) * BLOCK);
    try (Volume volume = store.open(disk)) {
      for (int i = 0; i < SNAPSHOTS; i++) {
        volume.write((long) i * BLOCK, ByteBuffer.allocate(BLOCK).put(0, (byte) 1));
        UUID snapshot = UUID.randomUUID();
        store.snapshot(snapshot, disk);
        all.add(snapshot);
      }
    }
    UUID clone = UUID.randomUUID();
    store.clone(clone, all.get(SNAPSHOTS / 2), (SNAPSHOTS + 1) * BLOCK);
    all.addAll(List.of(image, disk, clone));
    return all;
  }

  @Test
  void aLayerIsLookedUpOnceForAllVolumesOfAList() throws IOException {
    HeldFiles held = new HeldFiles(new LocalFiles(directory));
    try (LocalVolumeStore store = LocalVolumeStore.open(held.files(), new Settings(0))) {
      List<UUID> all = fill(store);
      Map<UUID, VolumeInfo> each = new HashMap<>();
      for (UUID id : all) {
        each.put(id, store.find(id).orElseThrow());
      }
      List<String> calls =
          new LocalFiles(directory)
              .list(StoreLayout.LAYERS).stream()
                  .filter(name -> name.endsWith(StoreLayout.DATA))
                  .map(name -> "allocatedBytes " + StoreLayout.LAYERS + "/" + name)
                  .toList();
      assertEquals(SNAPSHOTS + 3, calls.size());
      Map<String, Integer> before = counts(held, calls);
      List<UUID> asked = new ArrayList<>(all);
      asked.add(UUID.randomUUID());
      assertEquals(each, store.findMany(asked));
      Map<String, Integer> between = counts(held, calls);
      assertEquals(
          each,
          store.list().stream().collect(Collectors.toMap(VolumeInfo::id, Function.identity())));
      Map<String, Integer> after = counts(held, calls);
      assertEquals(onceMore(before), between);
      assertEquals(onceMore(between), after);
    }
  }

  private static Map<String, Integer> onceMore(Map<String, Integer> counts) {
    return counts.entrySet().stream()
        .collect(Collectors.toMap(Map.Entry::getKey, count -> count.getValue() + 1));
  }

  private static Map<String, Integer> counts(HeldFiles held, List<String> calls) {
    return calls.stream().collect(Collectors.toMap(call -> call, held::calls));
  }
}
