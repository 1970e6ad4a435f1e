package io.malleable.volume.local;

import io.malleable.volume.TransferProgress;
import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
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

  private final GuardedCatalogue guard;
  private final StoreFiles files;
  private final TransferProgress progress;

  /** What it is, and the volumes that depend on it. */
  private final Map<String, Set<UUID>> damages = new LinkedHashMap<>();

  private final ByteBuffer buffer = ByteBuffer.allocateDirect(CHUNK_BLOCKS << BlockMap.BLOCK_SHIFT);
  private long checkedBytes;
  private long uncheckedBytes;
  private long totalBytes;

  Scrub(GuardedCatalogue guard, StoreFiles files, TransferProgress progress) {
    this.guard = guard;
    this.files = files;
    this.progress = progress;
  }

  VerifyReport run() throws IOException {
    WriteIntent.damaged(files)
        .forEach((id, damage) -> add(String.valueOf(damage.getMessage()), List.of(id)));
    List<UUID> layers;
    try (GuardedCatalogue.Held held = guard.hold()) {
      layers = begin(held.catalogue());
    }
    totalBytes = StoreLayout.allocatedBytes(files, layers);
    for (UUID id : layers) {
      if (guard.with(catalogue -> catalogue.mayBeWritten(id))) {
        scrubWritten(id);
      } else {
        scrubFrozen(id);
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

  private @Nullable Layer acquire(UUID id) throws IOException {
    Layer layer;
    try {
      LayerNode pinned = guard.with(catalogue -> pin(catalogue.layers(), id));
      if (pinned == null) {
        return null;
      }
      layer = guard.open(pinned);
    } catch (IOException e) {
      report(id, e);
      return null;
    }
    guard.with(catalogue -> noteDamagedExtras(catalogue.open(), id));
    return layer;
  }

  /** Null if it was deleted since the list was made. */
  private @Nullable LayerNode pin(LayerTable layers, UUID id) throws IOException {
    if (!layers.exists(id)) {
      return null;
    }
    LayerOpening.requireData(files, id);
    return layers.pin(id);
  }

  private @Nullable Void noteDamagedExtras(OpenLayers layers, UUID id) {
    IOException sums = layers.sums().damage(id);
    if (sums != null) {
      add(sums.getMessage() + "; the layer's data is read without checks", List.of());
    }
    IOException pack = layers.packs().damage(id);
    if (pack != null) {
      add(String.valueOf(pack.getMessage()), List.of());
    }
    return null;
  }

  private void scrubFrozen(UUID id) throws IOException {
    Layer layer = acquire(id);
    if (layer == null) {
      return;
    }
    try {
      Pack pack = guard.with(catalogue -> layer.pack());
      if (pack != null) {
        scrub(pack);
      }
      scrubLayer(id, layer.map, layer.data, layer.sums());
    } finally {
      guard.release(layer);
    }
  }

  /**
   * Of a layer that a disk writes to, what is on disk, without holding it open: after an error its
   * disk must find there what is durable, and nothing that was only in memory.
   */
  private void scrubWritten(UUID id) throws IOException {
    BlockMap map = new BlockMap();
    try (StoreFile data = files.open(StoreLayout.data(id))) {
      guard.with(catalogue -> {
        LayerOpening.requireData(files, id);
        catalogue.layers().requireWhole(id);
        return null;
      });
      replay(id, map);
      scrubLayer(id, map, data, null);
    } catch (IOException e) {
      if (e instanceof VolumeException end && end.reason() == Reason.CANCELLED) {
        throw e;
      }
      report(id, e);
    }
  }

  private void replay(UUID id, BlockMap map) throws IOException {
    try {
      replayNow(id, map);
    } catch (IOException e) {
      // Once more, because it may just have been replaced by a shorter one, or sealed.
      replayNow(id, map);
    }
  }

  private void replayNow(UUID id, BlockMap map) throws IOException {
    try (MapLog log = MapLog.open(files, id, map)) {
      MapTail.requireWhole(files, log);
    }
  }

  /**
   * What to read of a layer.
   *
   * @param live used when there are no sums
   */
  private record Content(
      UUID layer,
      BlockMap map,
      StoreFile data,
      @Nullable LayerSums sums,
      @Nullable LiveScrub live) {}

  private void scrubLayer(UUID id, BlockMap map, StoreFile data, @Nullable LayerSums sums)
      throws IOException {
    if (sums != null) {
      scrub(new Content(id, map, data, sums, null));
      return;
    }
    try (LiveScrub live = LiveScrub.open(files, id, data, what -> add(what, List.of()))) {
      scrub(new Content(id, map, data, null, live));
    }
  }

  private void scrub(Content content) throws IOException {
    RunList runs = new RunList();
    content.map.forEachRun(runs::add);
    int found = 0;
    for (int i = 0; i < runs.size() && found < MAX_DAMAGES; i++) {
      if (RunList.state(runs.run(i)) != BlockMap.DATA) {
        continue;
      }
      long end = RunList.firstBlock(runs.run(i)) + RunList.count(runs.run(i));
      for (long block = RunList.firstBlock(runs.run(i)); block < end; block += CHUNK_BLOCKS) {
        found += scrub(content, block, Math.min(end, block + CHUNK_BLOCKS));
        progress.onProgress(Math.min(totalBytes, checkedBytes + uncheckedBytes), totalBytes);
        if (progress.cancelled()) {
          throw new VolumeException(
              Reason.CANCELLED, "the check was cancelled; it can be begun again");
        }
        if (found >= MAX_DAMAGES) {
          break;
        }
      }
    }
  }

  private int scrub(Content content, long firstBlock, long endBlock) throws IOException {
    LayerSums sums = content.sums;
    if (sums == null) {
      return scrubLive(content, firstBlock, endBlock);
    }
    int found = 0;
    checkedBytes += (endBlock - firstBlock) << BlockMap.BLOCK_SHIFT;
    for (long block = firstBlock; block < endBlock; block++) {
      try {
        sums.recheck(block);
      } catch (IOException e) {
        // Unless it was just freed, as a layer above hides it.
        if (content.map.stateOf(block) == BlockMap.DATA) {
          found += report(content.layer, e);
        }
      }
    }
    return found;
  }

  private int scrubLive(Content content, long firstBlock, long endBlock) throws IOException {
    LiveScrub live = content.live;
    int found = 0;
    long block = firstBlock;
    while (block < endBlock) {
      long end = Math.min(endBlock, (block | (BlockMap.PAGE_BLOCKS - 1)) + 1);
      found +=
          live != null && live.covers(block >>> BlockMap.PAGE_SHIFT)
              ? scrubQuiet(content.layer, live, block, end)
              : scrubUnchecked(content, block, end);
      block = end;
    }
    return found;
  }

  private int scrubUnchecked(Content content, long firstBlock, long endBlock) throws IOException {
    int bytes = (int) (endBlock - firstBlock) << BlockMap.BLOCK_SHIFT;
    uncheckedBytes += bytes;
    try {
      content.data.read(firstBlock << BlockMap.BLOCK_SHIFT, buffer.clear().limit(bytes));
      return 0;
    } catch (IOException e) {
      return report(content.layer, e);
    }
  }

  private int scrubQuiet(UUID layer, LiveScrub live, long firstBlock, long endBlock)
      throws IOException {
    int found = 0;
    for (long block = firstBlock; block < endBlock; block++) {
      try {
        if (live.check(block)) {
          checkedBytes += BlockMap.BLOCK_BYTES;
        } else {
          uncheckedBytes += BlockMap.BLOCK_BYTES;
        }
      } catch (IOException e) {
        checkedBytes += BlockMap.BLOCK_BYTES;
        found += report(layer, e);
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

  /** Returns how many damages that is: none if the layer was deleted meanwhile. */
  private int report(UUID layer, IOException e) throws IOException {
    return guard.with(catalogue -> {
      if (!catalogue.layers().exists(layer)) {
        return 0;
      }
      add(String.valueOf(e.getMessage()), catalogue.volumesOver(layer));
      return 1;
    });
  }
}
