package io.malleable.control;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeFault;
import io.malleable.volume.VolumeInfo;
import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.util.Collection;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.function.Function;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Asks the store for what the database does not keep, during one request. Neither a volume that is
 * damaged nor a store that does not answer must hide what the database knows: what is wrong becomes
 * the measure. Once the store does not answer, or all answers took too long together, it is not
 * asked about further volumes, so that a list waits once. Owned by the thread of the request.
 */
final class VolumeCheck {
  private static final System.Logger LOG = System.getLogger(VolumeCheck.class.getName());

  private final Database database;
  private final PatientStore store;
  private final long deadlineNanos;
  private @Nullable String fault;
  private @Nullable Map<UUID, VolumeFault> faults;
  private Map<UUID, VolumeInfo> known = Map.of();

  VolumeCheck(Database database, PatientStore store) {
    this.database = database;
    this.store = store;
    this.deadlineNanos = store.deadlineNanos();
  }

  /** Asks about all of a list at once, as far as the store can; before each is measured. */
  VolumeCheck lookUp(Collection<UUID> ids) {
    try {
      known = store.ask(volumes -> volumes.findMany(ids), deadlineNanos);
    } catch (VolumeException e) {
      if (e.reason() == VolumeException.Reason.UNAVAILABLE) {
        fault = Failures.message(e);
      }
    } catch (IOException e) {
      LOG.log(System.Logger.Level.DEBUG, "asking about each volume by itself", e);
    }
    return this;
  }

  /** Why the store itself does not answer; absent as long as it does. */
  Optional<String> outage() {
    return Optional.ofNullable(fault);
  }

  Measure image(UUID id) {
    return measure(id, VolumeInfo::allocatedBytes, rows -> hasImage(rows, id));
  }

  /** Whether there is an image of that id, and so a volume. */
  static boolean hasImage(Rows rows, UUID id) {
    return rows.images().find(id).filter(i -> i.state() == Image.State.READY).isPresent();
  }

  Measure snapshot(UUID id) {
    return measure(id, VolumeInfo::allocatedBytes, rows -> hasSnapshot(rows, id));
  }

  static boolean hasSnapshot(Rows rows, UUID id) {
    return rows.snapshots().find(id).filter(s -> s.state() == Snapshot.State.READY).isPresent();
  }

  Measure disk(UUID id) {
    return measure(id, VolumeInfo::divergedBytes, rows -> hasDisk(rows, id));
  }

  /** In the trash or not. */
  static boolean hasDisk(Rows rows, UUID id) {
    return rows.disks()
        .find(id)
        .filter(d -> d.state() == Disk.State.READY || d.state() == Disk.State.TRASHED)
        .isPresent();
  }

  /** How many of these volumes are there, of each kind. */
  static VolumesByKind count(Rows rows, Set<UUID> volumes) {
    return new VolumesByKind(
        volumes.stream().filter(id -> hasImage(rows, id)).count(),
        volumes.stream().filter(id -> hasDisk(rows, id)).count(),
        volumes.stream().filter(id -> hasSnapshot(rows, id)).count());
  }

  /** Of whatever something is built on, without asking whether it is lost. */
  Measure base(UUID id) {
    return measure(id, VolumeInfo::allocatedBytes, _ -> false);
  }

  private Map<UUID, VolumeFault> faults() {
    if (faults == null) {
      faults = store.faults();
    }
    return faults;
  }

  private Optional<VolumeInfo> find(UUID id) throws IOException {
    VolumeInfo info = known.get(id);
    return info == null
        ? store.ask(volumes -> volumes.find(id), deadlineNanos)
        : Optional.of(info);
  }

  /**
   * Measures a volume.
   *
   * @param bytes what to show of it
   * @param made whether the rows say that there is one
   */
  private Measure measure(UUID id, Function<VolumeInfo, Long> bytes, Predicate<Rows> made) {
    if (fault != null) {
      return new Measure.Unavailable("it was not asked, as it had just failed: " + fault);
    }
    try {
      Optional<VolumeInfo> found = find(id);
      if (found.isEmpty() && database.read(made::test)) {
        // Either it has just been made, or it is lost.
        found = find(id);
        if (found.isEmpty()) {
          return new Measure.Damaged("The store has no volume " + id + ".");
        }
      }
      return new Measure.Occupies(
          found.map(bytes).orElse(0L), Optional.ofNullable(faults().get(id)));
    } catch (VolumeException e) {
      if (e.reason() == VolumeException.Reason.UNAVAILABLE) {
        fault = Failures.message(e);
        return new Measure.Unavailable(fault);
      }
      return new Measure.Damaged(Failures.message(e));
    } catch (NoSuchFileException e) {
      return new Measure.Damaged("A file of it is missing: " + Failures.message(e));
    } catch (IOException e) {
      LOG.log(System.Logger.Level.WARNING, "volume " + id + " cannot be measured", e);
      return new Measure.Unavailable(Failures.message(e));
    }
  }
}
