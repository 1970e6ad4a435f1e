package io.malleable.volume.local;

import io.malleable.volume.VolumeException;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/**
 * What the tails that are found when a store is opened say of servers that died: in this boot of
 * the host, then the disk goes on with the layer, or in an earlier one, then it may lack writes
 * that were acknowledged.
 */
final class TailScan {
  private static final Logger LOG = System.getLogger(TailScan.class.getName());

  private final StoreFiles files;
  private final LayerTable layers;
  private final VolumeTable volumes;
  private final BiConsumer<UUID, IOException> damaged;

  /** Layers with a tail of an earlier boot that nothing was written to. */
  private final List<UUID> unused = new ArrayList<>();

  /** Layers that were in use when the host went down, and the disk that used each. */
  private final Map<UUID, UUID> past = new HashMap<>();

  private final Map<VolumeRecord, VolumeRecord> adopted = new HashMap<>();

  /**
   * Nothing is found yet.
   *
   * @param damaged is told of a disk that cannot be used
   */
  TailScan(
      StoreFiles files,
      LayerTable layers,
      VolumeTable volumes,
      BiConsumer<UUID, IOException> damaged) {
    this.files = files;
    this.layers = layers;
    this.volumes = volumes;
    this.damaged = damaged;
  }

  /** The records on disk of disks whose top layer is another one, and what they should say. */
  Map<VolumeRecord, VolumeRecord> adopted() {
    return adopted;
  }

  /**
   * Before anything else is made of the volumes.
   *
   * @param tailed layers that have a tail
   * @param parents all layers whose maps can be read
   */
  void read(List<UUID> tailed, Map<UUID, Optional<UUID>> parents) throws IOException {
    UUID boot = files.bootId();
    for (UUID layer : tailed) {
      if (!parents.containsKey(layer)) {
        continue;
      }
      UUID disk = volumes.writingTo(layer).orElse(StoreLayout.NOBODY);
      try {
        Optional<TailHeader> header = TailHeader.read(files, layer);
        if (header.isPresent() && header.get().boot().equals(boot)) {
          adopt(header.get(), parents);
        } else if (header.isPresent() && header.get().inUse()) {
          past.put(layer, header.get().disk());
        } else {
          unused.add(layer);
        }
      } catch (IOException e) {
        if (e instanceof VolumeException known
            && known.reason() == VolumeException.Reason.CORRUPT) {
          // Of whichever boot: what it held is lost.
          LOG.log(Level.ERROR, "disk " + disk + " may lack writes that were acknowledged", e);
          past.put(layer, disk);
        } else if (volumes.remove(disk) != null) {
          damaged.accept(disk, e);
        }
      }
    }
  }

  /** The server died before the disk's record named the layer that the disk wrote to. */
  private void adopt(TailHeader header, Map<UUID, Optional<UUID>> parents) {
    VolumeRecord before = volumes.get(header.disk());
    if (before != null
        && !before.sealed()
        && Optional.of(before.layer()).equals(parents.get(header.layer()))
        && volumes.on(header.layer()).isEmpty()) {
      VolumeRecord after = before.withLayer(header.layer());
      volumes.put(after);
      adopted.put(before, after);
    }
  }

  /**
   * Durable before the tails that say so are replaced. A disk whose machine lived on must be known
   * until somebody has seen to that.
   */
  void noteLostWrites() throws IOException {
    boolean found = false;
    for (Map.Entry<UUID, UUID> tail : past.entrySet()) {
      if (isOfDisk(tail.getKey(), volumes.get(tail.getValue()))) {
        files.create(StoreLayout.lostWrites(tail.getValue())).close();
        found = true;
      }
    }
    if (found) {
      files.syncDirectory(StoreLayout.LOST_WRITES);
    }
    for (Map.Entry<UUID, UUID> tail : past.entrySet()) {
      MapTail.renew(files, tail.getKey(), tail.getValue());
    }
    for (UUID layer : unused) {
      files.delete(StoreLayout.tail(layer));
    }
  }

  /** Whether the layer was the disk's when the host went down, and is of its chain. */
  private boolean isOfDisk(UUID layer, @Nullable VolumeRecord disk) {
    return disk != null
        && !disk.sealed()
        && (disk.layer().equals(layer)
            || Optional.of(layer).equals(layers.parentOf(disk.layer()))
            || Optional.of(disk.layer()).equals(layers.parentOf(layer)));
  }
}
