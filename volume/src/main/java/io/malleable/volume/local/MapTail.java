package io.malleable.volume.local;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Optional;
import java.util.UUID;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * What a layer's map has in memory and not yet in its {@link MapLog}, handed to the kernel before
 * any write is acknowledged. It outlives the process, as the page cache does, and never the host:
 * nothing in it is synced but the header, and each part names the boot of the host that it is of.
 *
 * <pre>
 * tail   := header zeroes page*pages                                page n at byte 4096 * (1 + n)
 * header := magic version:u32 layer:u128 disk:u128 boot:u128 flags:u32 pages:u32 crc:u32  72 bytes
 * flags  := bit 0: in use, bit 1: a sync failed
 * page   := slot*128; a slot that was never used is zero
 * slot   := index:u64 state:2 zero:2 waiting:20 firstBlock:40
 *           generation:24 count:40 sequence:u32 crc:u32                                32 bytes
 * </pre>
 *
 * The header is the mark that the layer may have what is not durable: it is durable before the
 * first write is acknowledged, so that it is there after the host went down as well.
 *
 * <p>Runs are numbered. {@code waiting} says how many runs, up to and with this one, were not in
 * the log on disk when it was written, which then had {@code generation} and {@code sequence} for
 * the number of its batches. Runs that are in the log meanwhile may be applied once more, as long
 * as no later one is left out: so nothing is written when the log has them, and slots are used
 * again from the first one on.
 *
 * <p>The caller serialises {@link #append} and {@link #take} (the layer's allocation lock); the
 * mark has the monitor of this object.
 */
final class MapTail implements Closeable {
  static final int SLOTS = 1 << 16;

  private static final int PAGE_BYTES = 4096;
  private static final int SLOTS_OFFSET = PAGE_BYTES;
  private static final int SLOT_BYTES = 32;
  private static final int PAGE_SLOTS = PAGE_BYTES / SLOT_BYTES;
  private static final int SLOT_CRC_OFFSET = SLOT_BYTES - Formats.CRC_BYTES;
  private static final int STATE_SHIFT = 62;
  private static final int WAITING_SHIFT = 40;
  private static final int WAITING_MASK = (1 << 20) - 1;
  private static final int GENERATION_SHIFT = 40;
  private static final long BLOCKS_MASK = (1L << WAITING_SHIFT) - 1;
  private static final int GENERATION_MASK = (1 << 24) - 1;
  private static final int SEQUENCE_OFFSET = 24;

  private final StoreFiles files;
  private final UUID layer;
  private final UUID disk;
  private final UUID boot;
  private final String name;

  /** Absent until it is needed. Written under this object's monitor. */
  private volatile @Nullable StoreFile file;

  private volatile boolean marked;
  // Guarded by this.
  private boolean entryDurable;
  private int flags;

  /** Changed under the allocation lock as well. */
  private int pages;

  // Guarded by the allocation lock.
  private final ByteBuffer slot = ByteBuffer.allocateDirect(SLOT_BYTES);
  private final CRC32C crc = new CRC32C();
  private final byte[] crcEnd;
  private long next;
  private long firstOfLap;
  private boolean lastIsOpen;
  private long lastFirstBlock;
  private long lastCount;
  private int lastState;

  /** Runs before this one are in the log on disk. */
  private volatile long durable;

  /** The log that they are in. */
  private volatile LogPosition log = new LogPosition(0, 0);

  /** None yet; the file is created when it is needed. */
  MapTail(StoreFiles files, UUID layer, UUID disk) throws IOException {
    this.files = files;
    this.layer = layer;
    this.disk = disk;
    this.boot = files.bootId();
    this.name = StoreLayout.tail(layer);
    this.crcEnd = crcEnd(layer, boot);
  }

  private static byte[] crcEnd(UUID layer, UUID boot) {
    ByteBuffer end = ByteBuffer.allocate(32);
    Formats.putId(end, Optional.of(layer));
    Formats.putId(end, Optional.of(boot));
    return end.array();
  }

  /**
   * What a process that died left of a layer.
   *
   * @param tail goes on with it
   * @param runs in the order in which they were made; empty when all was durable
   */
  record Left(TailHeader header, MapTail tail, RunList runs) {
    /** Whether the log on disk is not behind what the tail knows of it. */
    boolean agreesWith(MapLog now) {
      return tail.log.isIn(LogPosition.of(now));
    }
  }

  /** What there is of this boot of the host; empty when there is nothing to go on with. */
  static Optional<Left> open(StoreFiles files, UUID layer) throws IOException {
    if (!files.exists(StoreLayout.tail(layer))) {
      return Optional.empty();
    }
    UUID boot = files.bootId();
    StoreFile file = files.open(StoreLayout.tail(layer));
    try {
      Optional<TailHeader> found =
          TailHeader.read(file, layer).filter(header -> header.boot().equals(boot));
      if (found.isEmpty()) {
        file.close();
        return Optional.empty();
      }
      TailHeader header = found.get();
      MapTail tail = new MapTail(files, layer, header.disk());
      tail.file = file;
      // Unless all was durable: then later changes of the map may not be here.
      RunList runs = header.inUse() ? tail.replay(file, header.pages()) : new RunList();
      return Optional.of(new Left(header, tail, runs));
    } catch (IOException | RuntimeException e) {
      file.close();
      throw e;
    }
  }

  /** How far a log on disk has got. */
  record LogPosition(int generation, int sequence) {
    static LogPosition of(MapLog log) {
      return new LogPosition(log.generation() & GENERATION_MASK, (int) log.sequence());
    }

    /** Whether this, which was seen before, is not behind that, which is there now. */
    boolean isIn(LogPosition now) {
      return generation != now.generation || now.sequence - sequence >= 0;
    }
  }

  /**
   * The log of a layer that nobody has in use ends with a seal.
   *
   * @throws VolumeException {@code CORRUPT} when it does not, and so lacks something
   */
  static void requireWhole(StoreFiles files, MapLog log) throws IOException {
    if (log.version() < MapLog.VERSION || log.sealed() || isInUse(files, log.layer())) {
      return;
    }
    throw new VolumeException(
        Reason.CORRUPT,
        "%s is cut off at byte %d: it does not end with a seal"
            .formatted(StoreLayout.map(log.layer()), log.bytes()));
  }

  /** Whether, after the host or the process went down, the layer may have had more to come. */
  private static boolean isInUse(StoreFiles files, UUID layer) throws IOException {
    return files.exists(StoreLayout.tail(layer))
        && TailHeader.read(files, layer).map(TailHeader::inUse).orElse(false);
  }

  /** After the host went down: from now on as after a process that died with nothing left to do. */
  static void renew(StoreFiles files, UUID layer, UUID disk) throws IOException {
    try (MapTail tail = new MapTail(files, layer, disk)) {
      tail.writeHeader(TailHeader.IN_USE, Durability.CACHED);
    }
  }

  private record Slot(
      int position,
      long index,
      long firstBlock,
      long count,
      int state,
      long waiting,
      LogPosition log) {}

  private RunList replay(StoreFile file, int pagesInUse) throws IOException {
    int slots = Math.min(SLOTS, pagesInUse * PAGE_SLOTS);
    pages = pagesInUse;
    flags = TailHeader.IN_USE;
    RunList runs = new RunList();
    if (slots == 0) {
      return runs;
    }
    ByteBuffer all = ByteBuffer.allocate(slots * SLOT_BYTES);
    try {
      file.read(SLOTS_OFFSET, all);
    } catch (EOFException e) {
      throw new VolumeException(
          Reason.CORRUPT, "%s is cut off: it has %d pages".formatted(name, pagesInUse), e);
    }
    Slot[] found = new Slot[slots];
    int count = 0;
    for (int i = 0; i < slots; i++) {
      Slot read = slotAt(all, i);
      if (read != null) {
        found[count++] = read;
      }
    }
    Arrays.sort(found, 0, count, Comparator.comparingLong(Slot::index));
    if (count == 0) {
      return runs;
    }
    Slot last = found[count - 1];
    long first = last.index - last.waiting + 1;
    for (int i = (int) (count - last.waiting); i < count; i++) {
      if (i < 0 || found[i].index != first + i - (count - last.waiting)) {
        throw new VolumeException(
            Reason.CORRUPT,
            "%s: run %d is damaged; the last is %d".formatted(name, first, last.index));
      }
      runs.add(found[i].firstBlock, found[i].count, found[i].state);
    }
    next = last.index + 1;
    durable = first;
    firstOfLap = last.index - last.position;
    log = last.log;
    return runs;
  }

  /** Null for one that was never used. */
  private @Nullable Slot slotAt(ByteBuffer all, int position) throws VolumeException {
    int offset = position * SLOT_BYTES;
    if (isZero(all, offset)) {
      return null;
    }
    crc.reset();
    crc.update(all.duplicate().limit(offset + SLOT_CRC_OFFSET).position(offset));
    crc.update(crcEnd);
    if (all.getInt(offset + SLOT_CRC_OFFSET) != (int) crc.getValue()) {
      throw new VolumeException(
          Reason.CORRUPT, "%s: the run in slot %d is damaged".formatted(name, position));
    }
    long place = all.getLong(offset + Long.BYTES);
    long extent = all.getLong(offset + 2 * Long.BYTES);
    return new Slot(
        position,
        all.getLong(offset),
        place & BLOCKS_MASK,
        extent & BLOCKS_MASK,
        (int) (place >>> STATE_SHIFT),
        (int) (place >>> WAITING_SHIFT) & WAITING_MASK,
        new LogPosition((int) (extent >>> GENERATION_SHIFT), all.getInt(offset + SEQUENCE_OFFSET)));
  }

  private static boolean isZero(ByteBuffer all, int offset) {
    for (int i = 0; i < SLOT_BYTES; i += Long.BYTES) {
      if (all.getLong(offset + i) != 0) {
        return false;
      }
    }
    return true;
  }

  /** The disk that writes to the layer. */
  UUID disk() {
    return disk;
  }

  /** Whether there is a file of it. */
  boolean exists() {
    return file != null;
  }

  /** Whether the mark is durable. */
  boolean marked() {
    return marked;
  }

  /** Durable when it returns: the layer may have what is not. */
  synchronized void mark() throws IOException {
    if (marked) {
      return;
    }
    writeHeader(TailHeader.IN_USE, Durability.SYNCED);
    if (!entryDurable) {
      files.syncDirectory(StoreLayout.LAYERS);
      entryDurable = true;
    }
    marked = true;
  }

  /**
   * The layer, which no record names yet, is the disk's from now on, as long as the host runs: see
   * {@link StoreScan}.
   */
  synchronized void announce() throws IOException {
    writeHeader(0, Durability.CACHED);
  }

  /** All is durable, and nobody writes meanwhile. That the mark is gone need not be durable. */
  synchronized void unmark() throws IOException {
    if (marked) {
      marked = false;
      writeHeader(0, Durability.CACHED);
    }
  }

  /** What is read of the layer's files need not be on disk, whichever process reads it. */
  synchronized void noteFailure() throws IOException {
    marked = false;
    writeHeader(TailHeader.IN_USE | TailHeader.FAILED, Durability.CACHED);
  }

  private enum Durability {
    SYNCED,
    CACHED
  }

  /** A file that has its name has a header: one without was damaged. */
  private void writeHeader(int newFlags, Durability durability) throws IOException {
    flags = newFlags;
    StoreFile open = file;
    if (open != null) {
      write(open, durability);
      return;
    }
    pages = 0;
    String temporary = name + StoreLayout.TEMPORARY;
    try (StoreFile made = files.create(temporary)) {
      write(made, durability);
    }
    files.rename(temporary, name);
    file = files.open(name);
  }

  private void write(StoreFile to, Durability durability) throws IOException {
    to.write(0, new TailHeader(layer, disk, boot, flags, pages).bytes());
    if (durability == Durability.SYNCED) {
      to.sync();
    }
  }

  /** So that a file which lacks pages is not taken for one with fewer runs. */
  private synchronized void addPage(StoreFile open) throws IOException {
    open.write(SLOTS_OFFSET + (long) pages * PAGE_BYTES, ByteBuffer.allocate(PAGE_BYTES));
    pages++;
    write(open, Durability.CACHED);
  }

  /**
   * Keeps a run; the blocks' data is written before, the map in memory changes after it.
   *
   * @throws VolumeException {@code OUT_OF_SPACE} when so many wait for a flush that there is no
   *     room
   */
  void append(long firstBlock, long count, int state) throws IOException {
    StoreFile open = file;
    if (open == null) {
      throw new IllegalStateException(name + " has no mark");
    }
    if (lastIsOpen && state == lastState && lastFirstBlock + lastCount == firstBlock) {
      extendLast(open, count);
      return;
    }
    if (next == durable) {
      firstOfLap = next;
    } else if (next - durable >= SLOTS) {
      throw new VolumeException(
          Reason.OUT_OF_SPACE,
          "%d changes of volume %s wait for a flush that fails; look why in the log"
              .formatted(SLOTS, disk));
    }
    write(open, next, firstBlock, count, state);
    next++;
    lastIsOpen = true;
    lastFirstBlock = firstBlock;
    lastCount = count;
    lastState = state;
  }

  private void extendLast(StoreFile open, long count) throws IOException {
    try {
      write(open, next - 1, lastFirstBlock, lastCount + count, lastState);
      lastCount += count;
    } catch (IOException e) {
      lastIsOpen = false;
      try {
        write(open, next - 1, lastFirstBlock, lastCount, lastState);
      } catch (IOException again) {
        e.addSuppressed(again);
      }
      throw e;
    }
  }

  private void write(StoreFile open, long index, long firstBlock, long count, int state)
      throws IOException {
    slot.clear();
    LogPosition in = log;
    slot.putLong(index)
        .putLong((long) state << STATE_SHIFT | (index - durable + 1) << WAITING_SHIFT | firstBlock)
        .putLong((long) in.generation << GENERATION_SHIFT | count)
        .putInt(in.sequence);
    crc.reset();
    crc.update(slot.flip());
    crc.update(crcEnd);
    slot.limit(SLOT_BYTES).putInt((int) crc.getValue()).flip();
    int position = (int) ((index - firstOfLap) % SLOTS);
    if (position / PAGE_SLOTS >= pages) {
      addPage(open);
    }
    open.write(SLOTS_OFFSET + (long) position * SLOT_BYTES, slot);
  }

  /** Whether so much waits that it is time for a flush. */
  boolean due() {
    return next - durable > SLOTS / 2;
  }

  /**
   * A flush takes all that there is.
   *
   * @return for {@link #durableBefore} once that is on disk
   */
  long take() {
    lastIsOpen = false;
    return next;
  }

  void durableBefore(long index, MapLog now) {
    durable = index;
    log = LogPosition.of(now);
  }

  /** Before the first run. */
  void startsWith(MapLog now) {
    log = LogPosition.of(now);
  }

  /** Nobody needs it any more: all is durable. */
  synchronized void delete() throws IOException {
    marked = false;
    entryDurable = false;
    StoreFile open = file;
    if (open != null) {
      files.delete(name);
      file = null;
      open.close();
    }
  }

  @Override
  public synchronized void close() throws IOException {
    StoreFile open = file;
    if (open != null) {
      open.close();
    }
  }
}
