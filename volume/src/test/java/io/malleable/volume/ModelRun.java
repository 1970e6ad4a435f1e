package io.malleable.volume;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import io.malleable.volume.VolumeException.Reason;
import io.malleable.volume.local.LocalVolumeStore;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.function.BooleanSupplier;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Random operations on a store beside a plain model of what each sector must hold. Every sector
 * written gets a number that was never used before, repeated over its 512 bytes, so that a mixture
 * and somebody else's data are both seen.
 *
 * <p>When a call fails, the model knows what may be the case from then on: a write leaves each
 * sector old or new, anything else is wholly done or not at all. When the process dies in a call,
 * that holds for this call, and all that was answered before it is there.
 */
public final class ModelRun {
  private static final int SECTOR_BYTES = 512;
  private static final int MAX_VOLUMES = 12;
  private static final int MIB_SECTORS = (1 << 20) / SECTOR_BYTES;
  private static final int CHUNK_SECTORS = 2 * MIB_SECTORS;

  /** Once in so many steps. */
  private static final int LOOKED_AFTER = 5;

  /** How large volumes are, and where in them something happens. */
  enum Shape {
    /** Up to 160 KiB, so that operations often meet. */
    SMALL(320),

    /**
     * Up to 40 MiB, written to around the edges of what stores divide volumes by: 1 MiB, 4 MiB and
     * 16 MiB, and now and then over several of them.
     */
    SPARSE(40 * MIB_SECTORS);

    private final int maxSectors;

    Shape(int maxSectors) {
      this.maxSectors = maxSectors;
    }
  }

  /** An atomic write that has not been answered. */
  private record Atomic(UUID disk, int from, int count, long firstTag) {}

  private final Random random;
  private final Shape shape;
  private final Map<UUID, ModelVolume> volumes = new TreeMap<>();
  private final Map<UUID, Volume> open = new HashMap<>();
  private final List<String> history = new ArrayList<>();
  private final ByteBuffer buffer;
  private VolumeStore store;
  private long nextTag = 1;
  private boolean failures;
  private BooleanSupplier dead = () -> false;
  private @Nullable Atomic unanswered;

  public ModelRun(VolumeStore store, long seed) {
    this(store, seed, Shape.SMALL);
  }

  public ModelRun(VolumeStore store, long seed, Shape shape) {
    this.store = store;
    this.random = new Random(seed);
    this.shape = shape;
    this.buffer =
        ByteBuffer.allocateDirect(Math.min(CHUNK_SECTORS, 2 * shape.maxSectors) * SECTOR_BYTES);
  }

  /** What a volume at hand may hold. */
  private enum Allowed {
    /** What was written last, or what a failed write may have left. */
    NOW,
    /** The same; what was under way when the process died may be undone. */
    AFTER_DEATH,
    /** Each sector as it was at the last flush or at any time since. */
    AFTER_POWER_CUT
  }

  /** Tells whether a call failed because the process died. */
  public void dyingWith(BooleanSupplier died) {
    dead = died;
  }

  /** So many random operations, none of which may fail. */
  public void run(int steps) throws IOException {
    for (int i = 0; i < steps; i++) {
      step();
    }
  }

  /** One possible state of a volume. */
  private static final class ModelVolume {
    final UUID id;
    long[] now;

    /** What else a sector may hold after a power cut: all since the last flush. */
    final Map<Integer, Set<Long>> older = new HashMap<>();

    /** Sectors that may hold that already now, because a write failed. */
    final Set<Integer> unsure = new HashSet<>();

    /** What sectors held that a call was writing when the process died. */
    final Map<Integer, Long> underWay = new HashMap<>();

    boolean sealed;
    Optional<UUID> parent = Optional.empty();
    Optional<UUID> disk = Optional.empty();

    /** After a call that failed: what the volume may be instead; empty in the list: gone. */
    final List<Optional<ModelVolume>> alternatives = new ArrayList<>();

    ModelVolume(UUID id, int sectors) {
      this.id = id;
      this.now = new long[sectors];
    }

    ModelVolume copyAs(UUID newId, int sectors) {
      ModelVolume copy = new ModelVolume(newId, sectors);
      System.arraycopy(now, 0, copy.now, 0, Math.min(sectors, now.length));
      for (int sector : unsure) {
        copy.unsure.add(sector);
        copy.older.put(sector, new HashSet<>(older.getOrDefault(sector, Set.of())));
      }
      copy.underWay.putAll(underWay);
      copy.sealed = sealed;
      copy.parent = parent;
      copy.disk = disk;
      return copy;
    }

    void set(int sector, long tag) {
      older.computeIfAbsent(sector, s -> new HashSet<>()).add(now[sector]);
      now[sector] = tag;
    }

    void flushed() {
      older.keySet().retainAll(unsure);
    }
  }

  /** What to do to a store. */
  private interface Call {
    void run() throws IOException;
  }

  public List<String> history() {
    return history;
  }

  public void use(VolumeStore reopened) {
    open.clear();
    store = reopened;
  }

  /** One random operation; an exception of the store passes after the model has noted it. */
  public void step() throws IOException {
    if (random.nextInt(LOOKED_AFTER) == 0 && store instanceof LocalVolumeStore local) {
      history.add("look after disks");
      local.lookAfterDisks();
    }
    int dice = random.nextInt(100);
    if (volumes.size() < 2 || dice < 3) {
      create();
    } else if (dice < 43) {
      write();
    } else if (dice < 45) {
      writeAtomically();
    } else if (dice < 58) {
      zero();
    } else if (dice < 68) {
      flush();
    } else if (dice < 75) {
      readSome();
    } else if (dice < 80) {
      cloneOne();
    } else if (dice < 86) {
      snapshot();
    } else if (dice < 88) {
      rollback();
    } else if (dice < 90) {
      resize();
    } else if (dice < 92) {
      seal();
    } else if (dice < 95) {
      delete();
    } else if (dice < 96) {
      flatten();
    } else if (dice < 97) {
      history.add("maintain");
      maintain();
    } else {
      closeOne();
    }
  }

  /** Work that a store does in the background, and that nobody must notice. */
  private void maintain() throws IOException {
    if (store instanceof LocalVolumeStore local) {
      local.maintain();
    }
  }

  private @Nullable ModelVolume pick(Predicate<ModelVolume> wanted) {
    List<ModelVolume> found =
        volumes.values().stream().filter(v -> v.alternatives.isEmpty()).filter(wanted).toList();
    return found.isEmpty() ? null : found.get(random.nextInt(found.size()));
  }

  private Volume open(ModelVolume volume) throws IOException {
    Volume handle = open.get(volume.id);
    if (handle == null) {
      handle = store.open(volume.id);
      open.put(volume.id, handle);
      if (store.faults().containsKey(volume.id)) {
        maintain();
      }
    }
    return handle;
  }

  /** Whatever happens, the handle is gone; unflushed data may be. */
  private void close(ModelVolume volume) throws IOException {
    Volume handle = open.remove(volume.id);
    if (handle != null) {
      try {
        handle.close();
        volume.flushed();
      } catch (IOException e) {
        if (!dead.getAsBoolean()) {
          volume.unsure.addAll(volume.older.keySet());
        }
        throw e;
      }
    }
  }

  private UUID newId() {
    return new UUID(random.nextLong(), random.nextLong());
  }

  private int newSize() {
    return 1 + (nearAnEdge() ? aroundAnEdge() : random.nextInt(shape.maxSectors));
  }

  private boolean nearAnEdge() {
    return shape == Shape.SPARSE && random.nextBoolean();
  }

  /** A sector before, at or behind a multiple of 1 MiB, often also of 4 MiB or 16 MiB. */
  private int aroundAnEdge() {
    int unit = MIB_SECTORS << (random.nextInt(3) * 2);
    int edge = random.nextInt(shape.maxSectors / unit + 1) * unit;
    return Math.clamp(edge + random.nextInt(-20, 20), 0, shape.maxSectors - 1);
  }

  /** A call that makes a new volume. */
  private void makes(ModelVolume made, Call call) throws IOException {
    try {
      call.run();
      volumes.put(made.id, made);
    } catch (IOException e) {
      failures = true;
      ModelVolume perhaps = made.copyAs(made.id, made.now.length);
      perhaps.alternatives.add(Optional.of(made));
      perhaps.alternatives.add(Optional.empty());
      volumes.put(made.id, perhaps);
      throw e;
    }
  }

  /** A call that turns one state of a volume into another. */
  private void turns(ModelVolume from, Optional<ModelVolume> to, Call call) throws IOException {
    try {
      call.run();
      if (to.isPresent()) {
        volumes.put(from.id, to.get());
      } else {
        volumes.remove(from.id);
      }
    } catch (IOException e) {
      if (e instanceof VolumeException refused && refused.reason() == Reason.HAS_DEPENDANTS) {
        boolean known =
            volumes.values().stream().anyMatch(v -> v.parent.equals(Optional.of(from.id)));
        assertTrue(known, refused::toString);
        return;
      }
      failures = true;
      if (!dead.getAsBoolean()) {
        reopen(from);
        to.ifPresent(v -> v.unsure.addAll(v.older.keySet()));
      }
      ModelVolume unclear = from.copyAs(from.id, from.now.length);
      from.older.forEach((sector, tags) -> unclear.older.put(sector, new HashSet<>(tags)));
      unclear.alternatives.add(Optional.of(from));
      unclear.alternatives.add(to);
      volumes.put(from.id, unclear);
      throw e;
    }
  }

  private void create() throws IOException {
    if (volumes.size() >= MAX_VOLUMES) {
      return;
    }
    ModelVolume made = new ModelVolume(newId(), newSize());
    history.add("create " + made.id + " " + made.now.length);
    makes(made, () -> store.create(made.id, (long) made.now.length * SECTOR_BYTES));
  }

  private void cloneOne() throws IOException {
    ModelVolume parent = pick(v -> v.sealed);
    if (parent == null || volumes.size() >= MAX_VOLUMES) {
      return;
    }
    int sectors = parent.now.length + (random.nextBoolean() ? 0 : random.nextInt(20));
    ModelVolume made = parent.copyAs(newId(), sectors);
    made.sealed = false;
    made.parent = Optional.of(parent.id);
    made.disk = Optional.empty();
    history.add("clone " + made.id + " of " + parent.id + " " + sectors);
    makes(made, () -> store.clone(made.id, parent.id, (long) sectors * SECTOR_BYTES));
  }

  private void snapshot() throws IOException {
    ModelVolume disk = pick(v -> !v.sealed);
    if (disk == null || volumes.size() >= MAX_VOLUMES) {
      return;
    }
    ModelVolume made = disk.copyAs(newId(), disk.now.length);
    made.sealed = true;
    made.disk = Optional.of(disk.id);
    history.add("snapshot " + made.id + " of " + disk.id);
    try {
      makes(made, () -> store.snapshot(made.id, disk.id));
    } catch (IOException e) {
      reopen(disk);
      throw e;
    }
  }

  private void rollback() throws IOException {
    ModelVolume snapshot =
        pick(v -> v.disk.isPresent() && known(v.disk.get()) && !sealed(v.disk.get()));
    if (snapshot == null) {
      return;
    }
    ModelVolume disk = volume(snapshot.disk.orElseThrow());
    close(disk);
    ModelVolume after = snapshot.copyAs(disk.id, snapshot.now.length);
    after.sealed = false;
    after.disk = disk.disk;
    history.add("rollback " + disk.id + " to " + snapshot.id);
    turns(disk, Optional.of(after), () -> store.rollback(disk.id, snapshot.id));
  }

  private boolean known(UUID id) {
    ModelVolume volume = volumes.get(id);
    return volume != null && volume.alternatives.isEmpty();
  }

  private boolean sealed(UUID id) {
    return volume(id).sealed;
  }

  private ModelVolume volume(UUID id) {
    ModelVolume volume = volumes.get(id);
    if (volume == null) {
      throw new AssertionError("the model has no volume " + id);
    }
    return volume;
  }

  private void resize() throws IOException {
    ModelVolume disk = pick(v -> !v.sealed && v.now.length < shape.maxSectors);
    if (disk == null) {
      return;
    }
    int sectors =
        nearAnEdge()
            ? Math.max(disk.now.length, aroundAnEdge())
            : disk.now.length + random.nextInt(20);
    ModelVolume after = disk.copyAs(disk.id, sectors);
    disk.older.forEach((sector, tags) -> after.older.put(sector, new HashSet<>(tags)));
    history.add("resize " + disk.id + " to " + sectors);
    turns(disk, Optional.of(after), () -> store.resize(disk.id, (long) sectors * SECTOR_BYTES));
  }

  private void seal() throws IOException {
    ModelVolume disk = pick(v -> !v.sealed);
    if (disk == null) {
      return;
    }
    close(disk);
    ModelVolume after = disk.copyAs(disk.id, disk.now.length);
    after.sealed = true;
    history.add("seal " + disk.id);
    turns(disk, Optional.of(after), () -> store.seal(disk.id));
  }

  private void delete() throws IOException {
    ModelVolume volume = pick(v -> true);
    if (volume == null || volumes.size() < 4) {
      return;
    }
    close(volume);
    history.add("delete " + volume.id);
    turns(volume, Optional.empty(), () -> store.delete(volume.id));
  }

  private void flatten() throws IOException {
    ModelVolume disk = pick(v -> !v.sealed);
    if (disk == null) {
      return;
    }
    ModelVolume after = disk.copyAs(disk.id, disk.now.length);
    disk.older.forEach((sector, tags) -> after.older.put(sector, new HashSet<>(tags)));
    after.parent = Optional.empty();
    history.add("flatten " + disk.id);
    turns(disk, Optional.of(after), () -> store.flatten(disk.id));
  }

  private void closeOne() throws IOException {
    ModelVolume volume = pick(v -> open.containsKey(v.id));
    if (volume != null) {
      history.add("close " + volume.id);
      close(volume);
    }
  }

  /** A range within the volume, often at its ends and often aligned to blocks. */
  private int[] range(ModelVolume volume) {
    int sectors = volume.now.length;
    int from = random.nextInt(sectors);
    if (nearAnEdge()) {
      from = Math.min(sectors - 1, aroundAnEdge());
    }
    int most = random.nextBoolean() ? 4 : 40;
    if (shape == Shape.SPARSE && random.nextInt(16) == 0) {
      most = CHUNK_SECTORS;
    }
    int length = 1 + random.nextInt(Math.min(sectors, most));
    if (random.nextBoolean()) {
      from &= ~7;
      length = (length + 7) & ~7;
    }
    int limit = buffer.capacity() / SECTOR_BYTES;
    return new int[] {from, Math.min(Math.min(length, limit), sectors - from)};
  }

  private void write() throws IOException {
    ModelVolume disk = pick(v -> !v.sealed);
    if (disk == null) {
      return;
    }
    Volume handle = open(disk);
    int[] range = range(disk);
    history.add("write %s %d+%d tags from %d".formatted(disk.id, range[0], range[1], nextTag));
    long first = fillWithTags(range[1]);
    changes(disk, range, first, () -> handle.write((long) range[0] * SECTOR_BYTES, buffer));
  }

  /** Fills the buffer with new tags, ready to be written; returns the first one. */
  private long fillWithTags(int sectors) {
    buffer.clear();
    long first = nextTag;
    nextTag += sectors;
    for (int i = 0; i < sectors; i++) {
      for (int j = 0; j < SECTOR_BYTES / Long.BYTES; j++) {
        buffer.putLong(first + i);
      }
    }
    buffer.flip();
    return first;
  }

  private void writeAtomically() throws IOException {
    ModelVolume disk = pick(v -> !v.sealed);
    if (disk == null) {
      return;
    }
    Volume handle = open(disk);
    int[] range = range(disk);
    int count = Math.min(range[1], handle.atomicWriteBytes() / SECTOR_BYTES);
    if (count == 0) {
      // A store that cannot.
      return;
    }
    history.add(
        "write atomically %s %d+%d tags from %d".formatted(disk.id, range[0], count, nextTag));
    long first = fillWithTags(count);
    unanswered = new Atomic(disk.id, range[0], count, first);
    changes(
        disk,
        new int[] {range[0], count},
        first,
        () -> handle.writeAtomically((long) range[0] * SECTOR_BYTES, buffer));
    unanswered = null;
    for (int sector = range[0]; sector < range[0] + count; sector++) {
      disk.older.remove(sector);
    }
  }

  private void zero() throws IOException {
    ModelVolume disk = pick(v -> !v.sealed);
    if (disk == null) {
      return;
    }
    Volume handle = open(disk);
    int[] range = random.nextInt(10) == 0 ? new int[] {0, disk.now.length} : range(disk);
    long offset = (long) range[0] * SECTOR_BYTES;
    long length = (long) range[1] * SECTOR_BYTES;
    if (random.nextBoolean()) {
      history.add("discard %s %d+%d".formatted(disk.id, range[0], range[1]));
      changes(disk, range, 0, () -> handle.discard(offset, length));
    } else {
      history.add("zero %s %d+%d".formatted(disk.id, range[0], range[1]));
      changes(disk, range, 0, () -> handle.writeZeroes(offset, length));
    }
  }

  private void changes(ModelVolume disk, int[] range, long firstTag, Call call) throws IOException {
    boolean done = false;
    try {
      call.run();
      done = true;
    } finally {
      boolean died = !done && dead.getAsBoolean();
      for (int i = 0; i < range[1]; i++) {
        int sector = range[0] + i;
        if (died) {
          disk.underWay.put(sector, disk.now[sector]);
        }
        disk.set(sector, firstTag == 0 ? 0 : firstTag + i);
        if (!done && !died) {
          failures = true;
          disk.unsure.add(sector);
        } else if (done) {
          disk.unsure.remove(sector);
        }
      }
      if (!done && !died) {
        reopen(disk);
      }
    }
  }

  /** A volume whose storage failed may take no more writes until it is opened again. */
  private void reopen(ModelVolume disk) {
    if (dead.getAsBoolean()) {
      return;
    }
    try {
      disk.unsure.addAll(disk.older.keySet());
      Volume handle = open.remove(disk.id);
      if (handle != null) {
        handle.close();
      }
    } catch (IOException e) {
      history.add("close after an error: " + e.getMessage());
    }
  }

  private void flush() throws IOException {
    ModelVolume disk = pick(v -> !v.sealed && open.containsKey(v.id));
    if (disk != null) {
      history.add("flush " + disk.id);
      try {
        open(disk).flush();
        disk.flushed();
      } catch (IOException e) {
        failures = true;
        reopen(disk);
        throw e;
      }
    }
  }

  private void readSome() throws IOException {
    ModelVolume volume = pick(v -> true);
    if (volume == null) {
      return;
    }
    int[] range = range(volume);
    history.add("read %s %d+%d".formatted(volume.id, range[0], range[1]));
    Optional<String> wrong = compare(open(volume), volume, range[0], range[1], Allowed.NOW);
    wrong.ifPresent(text -> fail(text));
  }

  private Optional<String> compare(
      Volume handle, ModelVolume volume, int from, int count, Allowed allowed) throws IOException {
    int most = buffer.capacity() / SECTOR_BYTES;
    for (int at = from; at < from + count; at += most) {
      int length = Math.min(most, from + count - at);
      Optional<String> wrong = comparePart(handle, volume, at, length, allowed);
      if (wrong.isPresent()) {
        return wrong;
      }
    }
    return Optional.empty();
  }

  /** The first sector that is not what it may be. */
  private Optional<String> comparePart(
      Volume handle, ModelVolume volume, int from, int count, Allowed allowed) throws IOException {
    buffer.clear().limit(count * SECTOR_BYTES);
    handle.read((long) from * SECTOR_BYTES, buffer);
    buffer.flip();
    for (int sector = from; sector < from + count; sector++) {
      long tag = buffer.getLong();
      boolean torn = false;
      for (int j = 1; j < SECTOR_BYTES / Long.BYTES; j++) {
        torn |= buffer.getLong() != tag;
      }
      boolean old =
          (allowed == Allowed.AFTER_POWER_CUT || volume.unsure.contains(sector))
              && volume.older.getOrDefault(sector, Set.of()).contains(tag);
      Long undone = allowed == Allowed.AFTER_DEATH ? volume.underWay.get(sector) : null;
      old |= undone != null && undone == tag;
      if (torn || (tag != volume.now[sector] && !old)) {
        return Optional.of(
            "volume %s sector %d is %d%s, expected %d or, if allowed, one of %s"
                .formatted(
                    volume.id,
                    sector,
                    tag,
                    torn ? " (torn)" : "",
                    volume.now[sector],
                    volume.older.getOrDefault(sector, Set.of())));
      }
    }
    return Optional.empty();
  }

  /** Everything in the store is as the model says; closes all handles. */
  public void checkAll() throws IOException {
    for (UUID id : List.copyOf(open.keySet())) {
      ModelVolume volume = volume(id);
      if (failures) {
        reopen(volume);
      } else {
        close(volume);
      }
    }
    // One that failed was answered so; what it was to write may have been overwritten since.
    unanswered = null;
    check(Allowed.NOW);
  }

  /** The same after the power was cut: what was not flushed is old or new. */
  public void checkAllAfterPowerCut() throws IOException {
    open.clear();
    check(Allowed.AFTER_POWER_CUT);
    checkUnanswered();
  }

  /**
   * The same after the process died and a new one has the store open: all that was answered is
   * there, as good as before. From now on the model knows what became of the rest.
   */
  public void checkAllAfterProcessDeath() throws IOException {
    open.clear();
    check(Allowed.AFTER_DEATH);
    checkUnanswered();
    unanswered = null;
    failures = false;
    for (ModelVolume volume : List.copyOf(volumes.values())) {
      if (!volume.alternatives.isEmpty()) {
        volumes.remove(volume.id);
        Optional<VolumeInfo> info = store.find(volume.id);
        for (Optional<ModelVolume> state : volume.alternatives) {
          if (info.isPresent()
              && state.isPresent()
              && matches(info.get(), state.get(), Allowed.AFTER_DEATH).isEmpty()) {
            volumes.put(volume.id, state.get());
          }
        }
      }
    }
    for (ModelVolume volume : volumes.values()) {
      learn(volume);
    }
  }

  /** What became of the sectors that were written when the process died. */
  private void learn(ModelVolume volume) throws IOException {
    try (Volume handle = store.open(volume.id)) {
      for (Map.Entry<Integer, Long> sector : volume.underWay.entrySet()) {
        buffer.clear().limit(SECTOR_BYTES);
        handle.read((long) sector.getKey() * SECTOR_BYTES, buffer);
        long tag = buffer.getLong(0);
        if (tag == sector.getValue()) {
          volume.set(sector.getKey(), tag);
        }
      }
    }
    volume.underWay.clear();
  }

  /** Makes everything durable. */
  public void flushAll() throws IOException {
    for (ModelVolume volume : volumes.values()) {
      if (!volume.sealed && volume.alternatives.isEmpty()) {
        open(volume).flush();
        volume.flushed();
      }
    }
  }

  /** An atomic write that the power cut ended is there as a whole, or not at all. */
  private void checkUnanswered() throws IOException {
    Atomic write = unanswered;
    if (write == null) {
      return;
    }
    ByteBuffer found = ByteBuffer.allocateDirect(write.count * SECTOR_BYTES);
    try (Volume handle = store.open(write.disk)) {
      handle.read((long) write.from * SECTOR_BYTES, found);
    }
    boolean first = found.getLong(0) == write.firstTag;
    for (int i = 0; i < write.count; i++) {
      boolean there = found.getLong(i * SECTOR_BYTES) == write.firstTag + i;
      assertEquals(first, there, () -> "half of " + write);
    }
  }

  /** Closes all handles; what fails is noted. */
  public void closeAll() {
    for (UUID id : List.copyOf(open.keySet())) {
      try {
        close(volume(id));
      } catch (IOException e) {
        history.add("failed: " + e);
      }
    }
  }

  private void check(Allowed allowed) throws IOException {
    Map<UUID, VolumeInfo> found = new HashMap<>();
    for (VolumeInfo info : store.list()) {
      found.put(info.id(), info);
    }
    for (ModelVolume volume : volumes.values()) {
      VolumeInfo info = found.remove(volume.id);
      List<Optional<ModelVolume>> possible =
          volume.alternatives.isEmpty() ? List.of(Optional.of(volume)) : volume.alternatives;
      if (info == null) {
        assertTrue(possible.contains(Optional.<ModelVolume>empty()), volume.id + " is gone");
        continue;
      }
      List<String> wrong = new ArrayList<>();
      for (Optional<ModelVolume> state : possible) {
        if (state.isPresent()) {
          matches(info, state.get(), allowed).ifPresent(wrong::add);
        }
      }
      long present = possible.stream().filter(Optional::isPresent).count();
      assertTrue(wrong.size() < present, () -> String.join("; ", wrong));
    }
    assertEquals(Map.of(), found, "nobody made these");
  }

  private Optional<String> matches(VolumeInfo info, ModelVolume volume, Allowed allowed)
      throws IOException {
    if (info.sizeBytes() != (long) volume.now.length * SECTOR_BYTES
        || info.sealed() != volume.sealed) {
      return Optional.of(info + " is not as the model says");
    }
    if (!info.parent().equals(volume.parent)) {
      return Optional.of(info + " should have parent " + volume.parent);
    }
    try (Volume handle = store.open(volume.id)) {
      return compare(handle, volume, 0, volume.now.length, allowed);
    }
  }

  /** Deletes every volume, clones before what they were cloned from. */
  public void deleteAll() throws IOException {
    while (!volumes.isEmpty()) {
      for (ModelVolume volume : List.copyOf(volumes.values())) {
        if (volumes.values().stream().noneMatch(v -> v.parent.equals(Optional.of(volume.id)))) {
          store.delete(volume.id);
          volumes.remove(volume.id);
        }
      }
    }
  }
}
