package io.malleable.volume;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.volume.VolumeException.Reason;
import io.malleable.volume.local.LocalVolumeStore;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * Random operations by several threads at once on one open disk, beside a history of what each
 * sector was given and when. The first stripes of the disk belong to one thread each, the rest to
 * all. Meanwhile another thread takes snapshots, clones them, writes to the clones, flattens them,
 * rolls them back and deletes them, and lets the disk itself grow and flattens it. On a local store
 * others make, open and delete clones of the snapshots, and snapshots of those, each other's too,
 * while maintenance merges what is left. Every non-zero value is used once.
 *
 * <p>What must hold, by the times at which calls began and ended:
 *
 * <ul>
 *   <li>a read gives each sector a value whose write had begun before the read ended, and that no
 *       other write had certainly replaced before the read began;
 *   <li>half of one value and half of another only while a write of that sector was under way;
 *   <li>a snapshot is what the disk held at one moment during the call: there is one for all
 *       sectors together.
 * </ul>
 */
public final class ConcurrentModelRun {
  private static final int SECTOR_BYTES = 512;
  private static final int WORKERS = 4;
  private static final int STRIPE_SECTORS = 37;
  private static final int SECTORS = 9 * STRIPE_SECTORS + 3;
  private static final int MAX_RANGE_SECTORS = 24;
  private static final int PHASES = 3;
  private static final int VISITORS = 2;
  private static final int MAX_CLONES = 6;
  private static final long SIZE_BYTES = (long) SECTORS * SECTOR_BYTES;

  private final VolumeStore store;
  private final long seed;
  private final int steps;
  private final AtomicLong clock = new AtomicLong();
  private final AtomicLong values = new AtomicLong();
  private final List<List<Change>> history = new ArrayList<>();
  private final UUID disk = UUID.randomUUID();
  private final AtomicInteger working = new AtomicInteger();

  /** Snapshots that stay until the end of the phase. */
  private final List<Moment> kept = new CopyOnWriteArrayList<>();

  /** Clones of those, which any visitor may use or delete. */
  private final List<Moment> clones = new CopyOnWriteArrayList<>();

  private volatile boolean visiting;

  public ConcurrentModelRun(VolumeStore store, long seed, int steps) {
    this.store = store;
    this.seed = seed;
    this.steps = steps;
    for (int sector = 0; sector < SECTORS; sector++) {
      history.add(new ArrayList<>());
    }
  }

  /** A value that a sector was given between two moments. */
  private static final class Change {
    final long value;
    final long begun;
    volatile long ended = Long.MAX_VALUE;

    Change(long value, long begun) {
      this.value = value;
      this.begun = begun;
    }
  }

  /** A snapshot or a clone, and what it was found to hold. */
  private static final class Moment {
    final UUID id;
    final long[] content;

    Moment(UUID id, long[] content) {
      this.id = id;
      this.content = content;
    }
  }

  public void run() throws IOException, InterruptedException, ExecutionException {
    UUID image = UUID.randomUUID();
    long[] content = new long[SECTORS];
    store.create(image, SIZE_BYTES);
    try (Volume volume = store.open(image)) {
      for (int sector = 0; sector < SECTORS / 2; sector++) {
        content[sector] = values.incrementAndGet();
      }
      volume.write(0, buffer(content, 0, SECTORS / 2));
    }
    store.seal(image);
    store.clone(disk, image, SIZE_BYTES);
    for (int phase = 0; phase < PHASES; phase++) {
      begin(content);
      List<Moment> moments = phase(new Random(seed + phase));
      Moment back = moments.get(new Random(seed ^ phase).nextInt(moments.size()));
      store.rollback(disk, back.id);
      content = back.content;
      assertArrayEquals(content, contentOf(disk));
      for (Moment moment : moments) {
        store.delete(moment.id);
      }
    }
    store.delete(disk);
    store.delete(image);
  }

  private void begin(long[] content) {
    for (int sector = 0; sector < SECTORS; sector++) {
      Change first = new Change(content[sector], clock.get());
      first.ended = clock.get();
      history.get(sector).clear();
      history.get(sector).add(first);
    }
  }

  private List<Moment> phase(Random random)
      throws IOException, InterruptedException, ExecutionException {
    List<Moment> moments;
    try (Volume volume = store.open(disk);
        ExecutorService threads = Executors.newFixedThreadPool(WORKERS + 1 + VISITORS + 1)) {
      List<Future<?>> workers = new ArrayList<>();
      working.set(WORKERS);
      for (int worker = 0; worker < WORKERS; worker++) {
        int number = worker;
        Random own = new Random(random.nextLong());
        workers.add(
            threads.submit(() -> {
              try {
                work(volume, number, own);
              } finally {
                working.decrementAndGet();
              }
              return null;
            }));
      }
      Random own = new Random(random.nextLong());
      Future<List<Moment>> lifecycle = threads.submit(() -> lifecycle(own));
      List<Future<?>> visitors = startVisitors(threads, random);
      try {
        for (Future<?> worker : workers) {
          worker.get();
        }
        moments = lifecycle.get();
      } finally {
        visiting = false;
      }
      for (Future<?> visitor : visitors) {
        visitor.get();
      }
      removeClones();
      long now = clock.incrementAndGet();
      check(volume, 0, SECTORS, now);
    }
    long now = clock.incrementAndGet();
    try (Volume reopened = store.open(disk)) {
      check(reopened, 0, SECTORS, now);
    }
    return moments;
  }

  private List<Future<?>> startVisitors(ExecutorService threads, Random random) {
    List<Future<?>> started = new ArrayList<>();
    kept.clear();
    if (!(store instanceof LocalVolumeStore local)) {
      return started;
    }
    visiting = true;
    started.add(
        threads.submit(() -> {
          while (visiting) {
            local.maintain();
          }
          return null;
        }));
    for (int visitor = 0; visitor < VISITORS; visitor++) {
      Random own = new Random(random.nextLong());
      started.add(
          threads.submit(() -> {
            while (visiting) {
              visit(own);
            }
            return null;
          }));
    }
    return started;
  }

  private void visit(Random random) throws IOException {
    Moment clone = anyOf(clones, random);
    Moment snapshot = anyOf(kept, random);
    int dice = random.nextInt(100);
    if (snapshot == null) {
      Thread.onSpinWait();
    } else if (clone == null || (dice < 20 && clones.size() < MAX_CLONES)) {
      clones.add(newClone(snapshot, random));
    } else if (dice < 30) {
      assertArrayEquals(snapshot.content, contentOf(snapshot.id), "a snapshot has changed");
    } else if (dice < 60) {
      unlessTaken(
          () -> assertArrayEquals(clone.content, contentOf(clone.id), "a clone has changed"));
    } else if (dice < 90) {
      UUID ofClone = UUID.randomUUID();
      unlessTaken(() -> {
        store.snapshot(ofClone, clone.id);
        assertArrayEquals(clone.content, contentOf(ofClone), "a snapshot of a clone");
      });
      store.delete(ofClone);
    } else if (clones.remove(clone)) {
      while (!unlessTaken(() -> store.delete(clone.id))) {
        Thread.onSpinWait();
      }
      assertTrue(store.find(clone.id).isEmpty(), "it is still there");
    }
  }

  private static @Nullable Moment anyOf(List<Moment> moments, Random random) {
    List<Moment> now = List.copyOf(moments);
    return now.isEmpty() ? null : now.get(random.nextInt(now.size()));
  }

  private Moment newClone(Moment parent, Random random) throws IOException {
    Moment clone = new Moment(UUID.randomUUID(), parent.content.clone());
    store.clone(clone.id, parent.id, store.find(parent.id).orElseThrow().sizeBytes());
    try (Volume volume = store.open(clone.id)) {
      scribble(volume, clone.content, random);
    }
    return clone;
  }

  private interface Call {
    void run() throws IOException;
  }

  /** Whether it was done; not when another visitor uses the volume, or has deleted it. */
  private static boolean unlessTaken(Call call) throws IOException {
    try {
      call.run();
      return true;
    } catch (VolumeException e) {
      if (e.reason() != Reason.IN_USE && e.reason() != Reason.NOT_FOUND) {
        throw e;
      }
      return false;
    }
  }

  private void removeClones() throws IOException {
    for (Moment clone : clones) {
      assertArrayEquals(clone.content, contentOf(clone.id), "a clone has changed");
      store.delete(clone.id);
    }
    clones.clear();
  }

  private void work(Volume volume, int worker, Random random) throws IOException {
    for (int i = 0; i < steps; i++) {
      boolean own = random.nextBoolean();
      int first = own ? worker * STRIPE_SECTORS : WORKERS * STRIPE_SECTORS;
      int end = own ? first + STRIPE_SECTORS : SECTORS;
      int from = first + random.nextInt(end - first);
      int count = Math.min(end - from, 1 + random.nextInt(MAX_RANGE_SECTORS));
      int dice = random.nextInt(100);
      if (dice < 45) {
        write(volume, from, count);
      } else if (dice < 60) {
        zero(volume, from, count, random.nextBoolean());
      } else if (dice < 92) {
        check(volume, from, count, clock.incrementAndGet());
      } else {
        volume.flush();
      }
    }
  }

  private void write(Volume volume, int from, int count) throws IOException {
    long[] written = new long[count];
    for (int i = 0; i < count; i++) {
      written[i] = values.incrementAndGet();
    }
    List<Change> changes = begun(from, written);
    volume.write((long) from * SECTOR_BYTES, buffer(written, 0, count));
    ended(changes);
  }

  private void zero(Volume volume, int from, int count, boolean discard) throws IOException {
    List<Change> changes = begun(from, new long[count]);
    long offset = (long) from * SECTOR_BYTES;
    long length = (long) count * SECTOR_BYTES;
    if (discard) {
      volume.discard(offset, length);
    } else {
      volume.writeZeroes(offset, length);
    }
    ended(changes);
  }

  private List<Change> begun(int from, long[] written) {
    long now = clock.incrementAndGet();
    List<Change> changes = new ArrayList<>();
    for (int i = 0; i < written.length; i++) {
      Change change = new Change(written[i], now);
      changes.add(change);
      List<Change> ofSector = history.get(from + i);
      synchronized (ofSector) {
        ofSector.add(change);
      }
    }
    return changes;
  }

  private void ended(List<Change> changes) {
    long now = clock.incrementAndGet();
    changes.forEach(change -> change.ended = now);
  }

  private List<Change> changesOf(int sector) {
    List<Change> ofSector = history.get(sector);
    synchronized (ofSector) {
      return List.copyOf(ofSector);
    }
  }

  /** Reads, the read having begun at the given time, and compares. */
  private void check(Volume volume, int from, int count, long begun) throws IOException {
    ByteBuffer found = ByteBuffer.allocateDirect(count * SECTOR_BYTES);
    volume.read((long) from * SECTOR_BYTES, found);
    long ended = clock.incrementAndGet();
    found.flip();
    for (int sector = from; sector < from + count; sector++) {
      List<Change> changes = changesOf(sector);
      long value = found.getLong(found.position());
      boolean torn = false;
      for (int word = 0; word < SECTOR_BYTES / Long.BYTES; word++) {
        long piece = found.getLong();
        torn |= piece != value;
        assertTrue(
            valid(changes, piece, begun, ended),
            "sector " + sector + " held " + piece + " too late");
      }
      boolean written =
          changes.stream()
              .anyMatch(change -> change.begun > 0 && change.begun < ended && change.ended > begun);
      assertTrue(!torn || written, "sector " + sector + " is torn though nobody wrote to it");
    }
  }

  private static boolean valid(List<Change> changes, long value, long begun, long ended) {
    for (Change change : changes) {
      if (change.value == value
          && change.begun < ended
          && changes.stream()
              .noneMatch(later -> later.begun > change.ended && later.ended < begun)) {
        return true;
      }
    }
    return false;
  }

  /** Snapshots while the workers work, and what can be done with each. */
  private List<Moment> lifecycle(Random random) throws IOException {
    List<Moment> moments = new ArrayList<>();
    while (moments.size() < 2 || (working.get() > 0 && moments.size() < 12)) {
      UUID id = UUID.randomUUID();
      long begun = clock.incrementAndGet();
      store.snapshot(id, disk);
      long ended = clock.incrementAndGet();
      long[] content = contentOf(id);
      checkMoment(content, begun, ended);
      assertEquals(
          Reason.IN_USE,
          assertThrows(VolumeException.class, () -> store.rollback(disk, id)).reason());
      if (random.nextInt(3) == 0) {
        long grown = store.find(disk).orElseThrow().sizeBytes() + SECTOR_BYTES * 5;
        assertEquals(grown, store.resize(disk, grown).sizeBytes());
      }
      if (random.nextInt(4) == 0) {
        store.flatten(disk);
        assertEquals(Optional.empty(), store.find(disk).orElseThrow().parent());
      }
      useClone(id, content, random);
      assertArrayEquals(content, contentOf(id), "a snapshot has changed");
      if (random.nextInt(3) == 0) {
        store.delete(id);
      } else {
        Moment moment = new Moment(id, content);
        moments.add(moment);
        kept.add(moment);
      }
    }
    return moments;
  }

  private void checkMoment(long[] content, long begun, long ended) {
    // There is a moment at which all sectors held this, if every value's write had begun by then
    // and
    // none was certainly replaced.
    long earliest = begun;
    long latest = ended;
    for (int sector = 0; sector < SECTORS; sector++) {
      List<Change> changes = changesOf(sector);
      long value = content[sector];
      assertTrue(
          valid(changes, value, begun, ended),
          "sector " + sector + " of a snapshot holds " + value);
      if (value != 0) {
        Change found =
            changes.stream().filter(change -> change.value == value).findFirst().orElseThrow();
        earliest = Math.max(earliest, found.begun);
        for (Change later : changes) {
          if (later.begun > found.ended) {
            latest = Math.min(latest, later.ended);
          }
        }
      }
    }
    assertTrue(earliest <= latest, "a snapshot mixes two moments");
  }

  private void useClone(UUID snapshot, long[] content, Random random) throws IOException {
    UUID clone = UUID.randomUUID();
    UUID ofClone = UUID.randomUUID();
    long sizeBytes = store.find(snapshot).orElseThrow().sizeBytes();
    store.clone(clone, snapshot, sizeBytes);
    long[] expected = content.clone();
    try (Volume volume = store.open(clone)) {
      scribble(volume, expected, random);
      if (random.nextInt(3) == 0) {
        store.flatten(clone);
      }
      store.snapshot(ofClone, clone);
      scribble(volume, expected.clone(), random);
      store.resize(clone, sizeBytes + SECTOR_BYTES);
    }
    store.rollback(clone, ofClone);
    assertEquals(sizeBytes, store.find(clone).orElseThrow().sizeBytes());
    assertArrayEquals(expected, contentOf(clone), "a clone after its rollback");
    store.delete(ofClone);
    store.delete(clone);
  }

  private void scribble(Volume volume, long[] content, Random random) throws IOException {
    int from = random.nextInt(SECTORS);
    int count = Math.min(SECTORS - from, 1 + random.nextInt(MAX_RANGE_SECTORS));
    for (int i = 0; i < count; i++) {
      content[from + i] = values.incrementAndGet();
    }
    volume.write((long) from * SECTOR_BYTES, buffer(content, from, count));
  }

  private static ByteBuffer buffer(long[] content, int from, int count) {
    ByteBuffer buffer = ByteBuffer.allocateDirect(count * SECTOR_BYTES);
    for (int i = 0; i < count; i++) {
      for (int word = 0; word < SECTOR_BYTES / Long.BYTES; word++) {
        buffer.putLong(content[from + i]);
      }
    }
    return buffer.flip();
  }

  /** One value per sector of a volume at rest; what it grew by is zero. */
  private long[] contentOf(UUID id) throws IOException {
    ByteBuffer found;
    try (Volume volume = store.open(id)) {
      found = ByteBuffer.allocateDirect((int) volume.sizeBytes());
      volume.read(0, found);
    }
    found.flip();
    for (int grown = (int) SIZE_BYTES; grown < found.limit(); grown++) {
      assertEquals(0, found.get(grown), "bytes behind the old end");
    }
    long[] content = new long[SECTORS];
    for (int sector = 0; sector < SECTORS; sector++) {
      content[sector] = found.getLong(sector * SECTOR_BYTES);
      for (int word = 0; word < SECTOR_BYTES / Long.BYTES; word++) {
        assertEquals(content[sector], found.getLong(), "a torn sector of a volume at rest");
      }
    }
    return content;
  }
}
