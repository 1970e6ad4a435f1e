package io.malleable.volume.rbd;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import io.malleable.volume.VolumeInfo;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;

/** What the images of the pool say of themselves as volumes. Thread-safe. */
final class RbdImages {
  private static final System.Logger LOG = System.getLogger(RbdImages.class.getName());

  /** Metadata key of a {@link Lineage}; an image without it is no volume. */
  static final String RECORD = "m2.volume";

  private static final long MAX_ASKED_BYTES = 256L << 20;
  private static final int MAX_SEALED = 1 << 14;

  private final RbdCluster cluster;
  private final PoolRecords records;

  /** Never changes as long as the image exists, which a clone of it finds out by itself. */
  private final Map<UUID, Facts> sealed = latest();

  /** The same with what they occupy; guarded by {@link #sealed}. */
  private final Map<UUID, VolumeInfo> sealedInfos = latest();

  /** Volumes that the log says are left out. */
  private final Set<UUID> named = ConcurrentHashMap.newKeySet();

  RbdImages(RbdCluster cluster) {
    this.cluster = cluster;
    this.records = new PoolRecords(cluster);
  }

  private static <T> Map<UUID, T> latest() {
    return new LinkedHashMap<>(16, 0.75f, true) {
      @Override
      protected boolean removeEldestEntry(Map.Entry<UUID, T> eldest) {
        return size() > MAX_SEALED;
      }
    };
  }

  /** What an image says of itself, without what it occupies. */
  record Facts(long sizeBytes, boolean sealed, Lineage lineage) {}

  private interface Question<T> {
    T ask(RbdImage image, Lineage lineage) throws IOException;
  }

  /** Absent when the image is no volume. */
  private static Optional<String> record(UUID id, RbdImage image) throws IOException {
    try {
      return image.metadata(RECORD);
    } catch (CephException e) {
      if (e.errno() == CephException.ERANGE) {
        throw Lineage.tooLong(id.toString());
      }
      throw e;
    }
  }

  /** Empty when there is no such volume. */
  private <T> Optional<T> ask(UUID id, Question<T> question) throws IOException {
    try (RbdImage image = cluster.open(id.toString(), "")) {
      Optional<String> text = record(id, image);
      return text.isEmpty()
          ? Optional.empty()
          : Optional.of(question.ask(image, Lineage.parse(id.toString(), text.get())));
    } catch (CephException e) {
      if (e.errno() == CephException.ENOENT) {
        return Optional.empty();
      }
      throw e;
    }
  }

  Optional<Facts> facts(UUID id) throws IOException {
    return ask(id, RbdImages::facts);
  }

  private static Facts facts(RbdImage image, Lineage lineage) throws IOException {
    return new Facts(image.sizeBytes(), image.hasSnapshot(RbdCluster.SEALED), lineage);
  }

  Facts require(UUID id) throws IOException {
    return facts(id).orElseThrow(() -> notFound(id));
  }

  /** Like {@link #require}, from memory for a sealed volume that was asked for before. */
  Facts requireCached(UUID id) throws IOException {
    synchronized (sealed) {
      Facts known = sealed.get(id);
      if (known != null) {
        return known;
      }
    }
    Facts facts = require(id);
    if (facts.sealed()) {
      synchronized (sealed) {
        sealed.put(id, facts);
      }
    }
    return facts;
  }

  /** The volume goes away, or was found to be gone. */
  void forget(UUID id) {
    synchronized (sealed) {
      sealed.remove(id);
      sealedInfos.remove(id);
    }
  }

  Optional<VolumeInfo> find(UUID id) throws IOException {
    Optional<VolumeInfo> found = ask(id, (image, lineage) -> info(id, image, lineage));
    if (found.isPresent() && found.get().sealed()) {
      synchronized (sealed) {
        sealedInfos.put(id, found.get());
      }
    }
    return found;
  }

  private static VolumeInfo info(UUID id, RbdImage image, Lineage lineage) throws IOException {
    long sizeBytes = image.sizeBytes();
    return new VolumeInfo(
        id,
        image.hasSnapshot(RbdCluster.SEALED),
        sizeBytes,
        allocatedBytes(image, sizeBytes),
        lineage.parent());
  }

  VolumeInfo requireInfo(UUID id) throws IOException {
    return find(id).orElseThrow(() -> notFound(id));
  }

  VolumeException notFound(UUID id) {
    return new VolumeException(
        Reason.NOT_FOUND, "there is no volume " + id + " in pool " + cluster.config().pool());
  }

  /**
   * Exact as long as there are few objects, such as those that a discard left behind empty; beyond
   * that whole objects, as asking each would take the longer the larger the volume is.
   */
  private static long allocatedBytes(RbdImage image, long sizeBytes) throws IOException {
    List<RbdImage.Run> objects = image.allocated(0, sizeBytes, false, RbdImage.Detail.OBJECTS);
    long whole = sum(objects);
    if (whole > MAX_ASKED_BYTES) {
      return whole;
    }
    long written = 0;
    for (RbdImage.Run run : objects) {
      written +=
          sum(
              image.allocated(
                  run.offsetBytes(), run.lengthBytes(), false, RbdImage.Detail.WRITTEN));
    }
    return written;
  }

  private static long sum(List<RbdImage.Run> runs) {
    return runs.stream().mapToLong(RbdImage.Run::lengthBytes).sum();
  }

  /**
   * What all volumes of the pool descend from, in few requests. One whose record cannot be
   * understood is left out, and named in the log when that is first seen.
   */
  Map<UUID, Lineage> lineages() throws IOException {
    Map<UUID, Lineage> lineages = new LinkedHashMap<>();
    for (Map.Entry<UUID, Optional<String>> entry : records.read().entrySet()) {
      UUID id = entry.getKey();
      try {
        if (entry.getValue().isEmpty()) {
          throw Lineage.tooLong(id.toString());
        }
        lineages.put(id, Lineage.parse(id.toString(), entry.getValue().get()));
        named.remove(id);
      } catch (VolumeException e) {
        if (named.add(id)) {
          LOG.log(Level.WARNING, "a volume is left out", e);
        }
      }
    }
    return lineages;
  }

  /** Like {@link #find}, from memory for a sealed volume that was asked for before. */
  Optional<VolumeInfo> findCached(UUID id) throws IOException {
    synchronized (sealed) {
      VolumeInfo known = sealedInfos.get(id);
      if (known != null) {
        return Optional.of(known);
      }
    }
    return find(id);
  }

  /** The volume that an image of this name is; absent when the name is not one of ours. */
  static Optional<UUID> id(String name) {
    try {
      UUID id = UUID.fromString(name);
      return id.toString().equals(name) ? Optional.of(id) : Optional.empty();
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
  }

  /**
   * The lineage decides, not RBD's own parent links: after a rollback a disk reads from its
   * snapshot's image but still descends from the image that it was cloned from, and a snapshot
   * taken before its disk was flattened descends from an image that it reads nothing from.
   */
  void requireNoDependants(UUID id) throws IOException {
    List<String> dependants = new ArrayList<>();
    // One that is not understood does not count; Ceph removes nothing that a clone reads from.
    for (Map.Entry<UUID, Lineage> other : lineages().entrySet()) {
      if (other.getValue().parent().equals(Optional.of(id))) {
        dependants.add(other.getKey().toString());
      }
    }
    if (!dependants.isEmpty()) {
      throw new VolumeException(
          Reason.HAS_DEPENDANTS,
          "volume " + id + " has the clones " + String.join(", ", dependants));
    }
  }

  static void requireUnreadable(VolumeException e) throws VolumeException {
    switch (e.reason()) {
      case CORRUPT, FORMAT_TOO_OLD, FORMAT_TOO_NEW ->
          LOG.log(Level.WARNING, "a volume is left out", e);
      default -> throw e;
    }
  }

  /** The volume if it is whole; the remainder of an unfinished call is cleared away. */
  Optional<Facts> existing(UUID id) throws IOException {
    try (RbdImage image = cluster.open(id.toString(), "")) {
      Optional<String> text = record(id, image);
      if (text.isPresent()) {
        return Optional.of(facts(image, Lineage.parse(id.toString(), text.get())));
      }
    } catch (CephException e) {
      if (e.errno() == CephException.ENOENT) {
        return Optional.empty();
      }
      throw e;
    }
    discardRemainder(id.toString());
    return Optional.empty();
  }

  /** Of a damaged record nothing is known, but the volume can be deleted. */
  Optional<Facts> existingOrDamaged(UUID id) throws IOException {
    try {
      return existing(id);
    } catch (VolumeException e) {
      if (e.reason() != Reason.CORRUPT) {
        throw e;
      }
      return Optional.of(new Facts(0, true, Lineage.root()));
    }
  }

  /**
   * Moves an image that may lack its record to the trash, with a record, so that the purge may take
   * it. Nothing happens when there is no such image.
   */
  void discardRemainder(String name) throws IOException {
    try {
      try (RbdImage image = cluster.openWritable(name)) {
        image.metadata(RECORD, Lineage.root().format());
      }
      cluster.discard(name);
    } catch (CephException e) {
      if (e.errno() != CephException.ENOENT) {
        throw e;
      }
    }
  }
}
