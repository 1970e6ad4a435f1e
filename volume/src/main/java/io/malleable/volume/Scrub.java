package io.malleable.volume;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** Reads a whole store and names what is damaged. Volumes stay usable meanwhile. */
final class Scrub {
  private static final int CHUNK_BLOCKS = 256;

  /** Of one layer; more than that says nothing new. */
  private static final int MAX_DAMAGES = 16;

  private final LocalVolumeStore store;
  private final TransferProgress progress;
  private final List<VerifyReport.Damage> damages = new ArrayList<>();
  private final ByteBuffer buffer = ByteBuffer.allocateDirect(CHUNK_BLOCKS << BlockMap.BLOCK_SHIFT);
  private long checkedBytes;
  private long uncheckedBytes;
  private long totalBytes;

  Scrub(LocalVolumeStore store, TransferProgress progress) {
    this.store = store;
    this.progress = progress;
  }

  VerifyReport run() throws IOException {
    store.withCatalogue(catalogue -> {
      for (Map.Entry<UUID, VolumeException> damage : catalogue.damagedVolumes().entrySet()) {
        damages.add(
            new VerifyReport.Damage(
                String.valueOf(damage.getValue().getMessage()), List.of(damage.getKey())));
      }
      return null;
    });
    List<UUID> layers = store.withCatalogue(catalogue -> catalogue.layers().all());
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
    return new VerifyReport(checkedBytes, uncheckedBytes, damages);
  }

  private @Nullable Layer acquire(Catalogue catalogue, UUID id) throws IOException {
    if (!catalogue.layers().exists(id)) {
      // Deleted since the list was made.
      return null;
    }
    try {
      return catalogue.layers().acquire(id);
    } catch (VolumeException e) {
      damages.add(
          new VerifyReport.Damage(String.valueOf(e.getMessage()), catalogue.volumesOver(id)));
      return null;
    }
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
        damages.add(new VerifyReport.Damage(String.valueOf(e.getMessage()), List.of()));
        found++;
      }
    }
  }

  private int report(Layer layer, IOException e) throws IOException {
    List<UUID> volumes = store.withCatalogue(catalogue -> catalogue.volumesOver(layer.id));
    damages.add(new VerifyReport.Damage(String.valueOf(e.getMessage()), volumes));
    return 1;
  }
}
