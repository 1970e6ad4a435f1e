package io.malleable.volume;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** Reads a whole store and names what is damaged. Volumes stay usable meanwhile. */
final class Scrub {
  private static final int CHUNK_BLOCKS = 256;

  /** Of one layer; more than that says nothing new. */
  private static final int MAX_DAMAGES = 16;

  private final LocalVolumeStore store;
  private final TransferProgress progress;

  /** What it is, and the volumes that depend on it. */
  private final Map<String, Set<UUID>> damages = new LinkedHashMap<>();

  private final ByteBuffer buffer = ByteBuffer.allocateDirect(CHUNK_BLOCKS << BlockMap.BLOCK_SHIFT);
  private long checkedBytes;
  private long uncheckedBytes;
  private long totalBytes;

  Scrub(LocalVolumeStore store, TransferProgress progress) {
    this.store = store;
    this.progress = progress;
  }

  VerifyReport run() throws IOException {
    store
        .damagedIntents()
        .forEach((id, damage) -> add(String.valueOf(damage.getMessage()), List.of(id)));
    List<UUID> layers = store.withCatalogue(this::begin);
    totalBytes = store.capacity().allocatedBytes();
    for (UUID id : layers) {
      Layer layer = store.withCatalogue(catalogue -> acquire(catalogue, id));
      if (layer != null) {
        try {
          scrub(layer);
        } finally {
          store.withCatalogue(catalogue -> {
            catalogue.deleteLater(catalogue.layers().release(layer));
            return null;
          });
        }
      }
    }
    List<VerifyReport.Damage> found = new ArrayList<>();
    damages.forEach(
        (what, volumes) -> found.add(new VerifyReport.Damage(what, List.copyOf(volumes))));
    return new VerifyReport(checkedBytes, uncheckedBytes, found);
  }

  /** What cannot be used at all; returns the layers that can be tried. */
  private List<UUID> begin(Catalogue catalogue) {
    catalogue
        .damagedVolumes()
        .forEach(
            (id, damage) -> add("volume %s: %s".formatted(id, damage.getMessage()), List.of(id)));
    for (VolumeRecord volume : catalogue.all()) {
      if (!catalogue.layers().exists(volume.layer())) {
        add(
            String.valueOf(catalogue.layers().absence(volume.layer()).getMessage()),
            List.of(volume.id()));
      }
    }
    return catalogue.layers().all();
  }

  /** The same damage is found once for each layer above it. */
  private void add(String what, List<UUID> volumes) {
    damages.computeIfAbsent(what, key -> new LinkedHashSet<>()).addAll(volumes);
  }

  private @Nullable Layer acquire(Catalogue catalogue, UUID id) throws IOException {
    LayerTable layers = catalogue.layers();
    if (!layers.exists(id)) {
      // Deleted since the list was made.
      return null;
    }
    Layer layer;
    try {
      layers.requireData(id);
      layer = layers.acquire(id);
    } catch (IOException e) {
      add(String.valueOf(e.getMessage()), catalogue.volumesOver(id));
      return null;
    }
    IOException sums = layers.sumsDamage(id);
    if (sums != null) {
      add(sums.getMessage() + "; the layer's data is read without checks", List.of());
    }
    IOException pack = layers.packs().damage(id);
    if (pack != null) {
      add(String.valueOf(pack.getMessage()), List.of());
    }
    return layer;
  }

  private void scrub(Layer layer) throws IOException {
    Pack pack = store.withCatalogue(catalogue -> layer.pack());
    if (pack != null) {
      scrub(pack);
    }
    LayerSums sums = layer.sums();
    RunList runs = new RunList();
    layer.map.forEachRun(runs::add);
    int found = 0;
    for (int i = 0; i < runs.size() && found < MAX_DAMAGES; i++) {
      if (RunList.state(runs.run(i)) != BlockMap.DATA) {
        continue;
      }
      long end = RunList.firstBlock(runs.run(i)) + RunList.count(runs.run(i));
      for (long block = RunList.firstBlock(runs.run(i)); block < end; block += CHUNK_BLOCKS) {
        found += scrub(layer, sums, block, Math.min(end, block + CHUNK_BLOCKS));
        progress.onProgress(Math.min(totalBytes, checkedBytes + uncheckedBytes), totalBytes);
        if (progress.cancelled()) {
          throw new ImageException(
              ImageException.Reason.CANCELLED, "cancelled", "start it again when you like");
        }
        if (found >= MAX_DAMAGES) {
          break;
        }
      }
    }
  }

  private int scrub(Layer layer, @Nullable LayerSums sums, long firstBlock, long endBlock)
      throws IOException {
    int found = 0;
    long bytes = (endBlock - firstBlock) << BlockMap.BLOCK_SHIFT;
    if (sums == null) {
      uncheckedBytes += bytes;
      try {
        buffer.clear().limit((int) bytes);
        layer.data.read(firstBlock << BlockMap.BLOCK_SHIFT, buffer);
      } catch (IOException e) {
        found += report(layer, e);
      }
      return found;
    }
    checkedBytes += bytes;
    for (long block = firstBlock; block < endBlock; block++) {
      try {
        sums.recheck(block);
      } catch (IOException e) {
        // Unless it was just freed, as a layer above hides it.
        if (layer.stateOf(block) == BlockMap.DATA) {
          found += report(layer, e);
        }
      }
    }
    return found;
  }

  /** It is a copy; damage in it does no harm to any volume but costs speed. */
  private void scrub(Pack pack) throws IOException {
    int found = 0;
    for (int slot = 0; slot < pack.map().slots() && found < MAX_DAMAGES; slot++) {
      try {
        pack.recheck(slot);
        checkedBytes += BlockMap.BLOCK_BYTES;
      } catch (ClosedChannelException e) {
        // Replaced by another one meanwhile.
        return;
      } catch (IOException e) {
        add(String.valueOf(e.getMessage()), List.of());
        found++;
      }
    }
  }

  private int report(Layer layer, IOException e) throws IOException {
    List<UUID> volumes = store.withCatalogue(catalogue -> catalogue.volumesOver(layer.id));
    add(String.valueOf(e.getMessage()), volumes);
    return 1;
  }
}
