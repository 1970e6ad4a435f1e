package io.malleable.volume;

import io.malleable.volume.VolumeException.Reason;
import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.UUID;

/**
 * The durable form of a layer's block map: a header and batches of runs, each batch appended and
 * synced as a whole. Not thread-safe: the caller holds the layer's flush lock.
 *
 * <pre>
 * log    := header batch*
 * header := magic version:u32 blockShift:u32 layer:u128 parent:u128 crc:u32     56 bytes
 * batch  := magic:u32 count:u32 sequence:u64 crc:u32 zero:u32 run*count         24 bytes + 8 each
 * run    := state:2 count:22 firstBlock:40                                      bits of a u64
 * </pre>
 *
 * The CRC of a batch also covers the layer's id, so that bytes of another log are never taken for
 * ours.
 */
final class MapLog implements Closeable {
  static final long MAGIC = 0x4d324c41594d4150L; // "M2LAYMAP"
  static final int HEADER_BYTES = Formats.PREFIX_BYTES + Integer.BYTES + 2 * 16 + 4 + 4;
  static final int BATCH_MAGIC = 0x52554e53; // "RUNS"
  static final int BATCH_HEADER_BYTES = 24;
  static final int RUN_BYTES = Long.BYTES;
  static final int MAX_BATCH_RUNS = 1 << 16;
  static final long MAX_RUN_BLOCKS = (1 << 22) - 1;
  static final int BLOCK_BITS = 40;

  /** Of at most as many runs as a batch has. */
  private static final int PAGES_AT_ONCE = MAX_BATCH_RUNS / BlockMap.PAGE_BLOCKS;

  private static final int BATCH_CRC_OFFSET = 16;
  private static final int COUNT_BITS = 22;

  private final String name;
  private final UUID layer;
  private final StoreFile file;
  private long endBytes;
  private long sequence;
  private long runs;
  private ByteBuffer buffer = smallBuffer();

  private MapLog(UUID layer, StoreFile file) {
    this.name = StoreLayout.map(layer);
    this.layer = layer;
    this.file = file;
  }

  private static ByteBuffer smallBuffer() {
    return ByteBuffer.allocateDirect(BATCH_HEADER_BYTES + 64 * RUN_BYTES);
  }

  /** What the header says. */
  record Header(UUID layer, Optional<UUID> parent) {
    static Header read(StoreFiles files, UUID expected) throws IOException {
      String name = StoreLayout.map(expected);
      try (StoreFile file = files.open(name)) {
        return read(file, name, expected);
      }
    }

    private static Header read(StoreFile file, String name, UUID expected) throws IOException {
      ByteBuffer header = Formats.read(file, name, MAGIC, HEADER_BYTES);
      int blockShift = header.getInt();
      if (blockShift != BlockMap.BLOCK_SHIFT) {
        throw new VolumeException(
            Reason.CORRUPT,
            "%s has blocks of 2^%d bytes, expected 2^%d"
                .formatted(name, blockShift, BlockMap.BLOCK_SHIFT));
      }
      UUID layer = Formats.readId(header);
      if (!layer.equals(expected)) {
        throw new VolumeException(Reason.CORRUPT, name + " is the map of layer " + layer);
      }
      return new Header(layer, Formats.readOptionalId(header));
    }
  }

  /**
   * Writes a new log of all that the map says, complete and durable but not yet under its own name.
   * A map that changes meanwhile is written as it is before or after, block by block.
   *
   * @param besides runs that the map does not know yet
   */
  static void writeTemporary(
      StoreFiles files, UUID layer, Optional<UUID> parent, BlockMap map, RunList besides)
      throws IOException {
    String temporary = StoreLayout.map(layer) + StoreLayout.TEMPORARY;
    try {
      write(files, temporary, layer, parent, log -> log.writeAll(map, besides));
    } catch (IOException e) {
      StoreLayout.deleteQuietly(files, temporary, e);
      throw e;
    }
  }

  /** Writes a new log that says nothing; its directory entry is not durable yet. */
  static void writeEmpty(StoreFiles files, UUID layer, Optional<UUID> parent) throws IOException {
    write(files, StoreLayout.map(layer), layer, parent, _ -> {});
  }

  private interface Content {
    void write(MapLog log) throws IOException;
  }

  private static void write(
      StoreFiles files, String name, UUID layer, Optional<UUID> parent, Content content)
      throws IOException {
    try (StoreFile file = files.create(name)) {
      ByteBuffer header = Formats.header(MAGIC, HEADER_BYTES).putInt(BlockMap.BLOCK_SHIFT);
      Formats.putId(header, Optional.of(layer));
      Formats.putId(header, parent);
      header.putInt(0);
      file.write(0, Formats.seal(header));
      MapLog log = new MapLog(layer, file);
      log.endBytes = HEADER_BYTES;
      content.write(log);
      file.sync();
    }
  }

  /** In parts, as there may be more runs than fit in memory. */
  private void writeAll(BlockMap map, RunList besides) throws IOException {
    RunList part = new RunList();
    for (long page = 0; page < map.pageLimit(); page += PAGES_AT_ONCE) {
      long first = page << BlockMap.PAGE_SHIFT;
      map.forEachRun(first, first + ((long) PAGES_AT_ONCE << BlockMap.PAGE_SHIFT), part::add);
      if (part.size() >= MAX_BATCH_RUNS) {
        writeBatches(part);
        part.clear();
      }
    }
    writeBatches(part);
    writeBatches(besides);
  }

  private void writeBatches(RunList list) throws IOException {
    for (int from = 0; from < list.size(); from += MAX_BATCH_RUNS) {
      writeBatch(list, from);
    }
  }

  /** Opens a log and replays it into the map. */
  static MapLog open(StoreFiles files, UUID layer, BlockMap map) throws IOException {
    StoreFile file = files.open(StoreLayout.map(layer));
    try {
      MapLog log = new MapLog(layer, file);
      Header.read(file, log.name, layer);
      log.replay(map);
      // Most logs that are opened are never written to, and there are many.
      log.buffer = smallBuffer();
      map.compact();
      return log;
    } catch (IOException | RuntimeException e) {
      file.close();
      throw e;
    }
  }

  private void replay(BlockMap map) throws IOException {
    long size = file.sizeBytes();
    endBytes = HEADER_BYTES;
    while (true) {
      int count = readBatch(endBytes, size, sequence + 1);
      if (count < 0) {
        break;
      }
      for (int i = 0; i < count; i++) {
        long run = buffer.getLong(BATCH_HEADER_BYTES + i * RUN_BYTES);
        map.set(RunList.firstBlock(run), RunList.count(run), RunList.state(run));
      }
      sequence++;
      runs += count;
      endBytes += BATCH_HEADER_BYTES + (long) count * RUN_BYTES;
    }
    refuseHoleInHistory(size);
  }

  /**
   * A batch that a crash cut off is the last one ever written: if a later one follows, what is
   * broken was durable once and has been damaged since.
   */
  private void refuseHoleInHistory(long size) throws IOException {
    long position = endBytes + RUN_BYTES;
    ByteBuffer window = ByteBuffer.allocate(1 << 16);
    while (position + BATCH_HEADER_BYTES <= size) {
      int length = (int) Math.min(window.capacity(), size - position);
      file.read(position, window.clear().limit(length));
      int last = length - BATCH_HEADER_BYTES;
      for (int i = 0; i <= last; i += RUN_BYTES) {
        long found = window.getLong(i + 8);
        if (window.getInt(i) == BATCH_MAGIC
            && found > sequence + 1
            && readBatch(position + i, size, found) >= 0) {
          throw new VolumeException(
              Reason.CORRUPT,
              "%s: batch %d at byte %d is damaged, batch %d follows it"
                  .formatted(name, sequence + 1, endBytes, found));
        }
      }
      position += last - last % RUN_BYTES + RUN_BYTES;
    }
  }

  /** Reads a batch into the buffer; its number of runs, or -1 when there is none. */
  private int readBatch(long position, long size, long expectedSequence) throws IOException {
    if (position + BATCH_HEADER_BYTES > size) {
      return -1;
    }
    try {
      file.read(position, buffer.clear().limit(BATCH_HEADER_BYTES));
      int count = buffer.getInt(4);
      if (buffer.getInt(0) != BATCH_MAGIC
          || buffer.getLong(8) != expectedSequence
          || count <= 0
          || count > MAX_BATCH_RUNS
          || position + BATCH_HEADER_BYTES + (long) count * RUN_BYTES > size) {
        return -1;
      }
      reserve(count);
      int length = BATCH_HEADER_BYTES + count * RUN_BYTES;
      file.read(position, buffer.clear().limit(length));
      int stored = buffer.getInt(BATCH_CRC_OFFSET);
      return stored == batchCrc(length) ? count : -1;
    } catch (EOFException e) {
      // The size was read before: somebody else truncated the file just now.
      throw new VolumeException(Reason.CORRUPT, name + " became shorter while it was read", e);
    }
  }

  private int batchCrc(int lengthBytes) {
    buffer.putInt(
        BATCH_CRC_OFFSET, (int) (layer.getMostSignificantBits() ^ layer.getLeastSignificantBits()));
    return Formats.crc(buffer, 0, lengthBytes);
  }

  private void reserve(int count) {
    int needed = BATCH_HEADER_BYTES + count * RUN_BYTES;
    if (buffer.capacity() < needed) {
      buffer =
          ByteBuffer.allocateDirect(
              Math.max(
                  needed,
                  Math.min(
                      2 * buffer.capacity(), BATCH_HEADER_BYTES + MAX_BATCH_RUNS * RUN_BYTES)));
    }
  }

  /**
   * Appends and syncs, batch by batch: a batch is on disk before the next one is written, which is
   * what lets a reader tell a cut-off end from damage in the middle.
   */
  void append(RunList batch) throws IOException {
    for (int from = 0; from < batch.size(); from += MAX_BATCH_RUNS) {
      writeBatch(batch, from);
      try {
        file.sync();
      } catch (IOException e) {
        throw new SyncFailedException(name, e);
      }
    }
  }

  private void writeBatch(RunList batch, int from) throws IOException {
    int count = Math.min(MAX_BATCH_RUNS, batch.size() - from);
    reserve(count);
    int length = BATCH_HEADER_BYTES + count * RUN_BYTES;
    buffer.clear().putInt(BATCH_MAGIC).putInt(count).putLong(sequence + 1).putLong(0);
    for (int i = 0; i < count; i++) {
      buffer.putLong(batch.run(from + i));
    }
    buffer.putInt(BATCH_CRC_OFFSET, batchCrc(length));
    file.write(endBytes, buffer.flip());
    endBytes += length;
    sequence++;
    runs += count;
  }

  /** Makes durable what a process that died may have written. */
  void sync() throws IOException {
    file.sync();
  }

  /** Runs in the log, outdated ones included. */
  long runs() {
    return runs;
  }

  @Override
  public void close() throws IOException {
    file.close();
  }

  static long encode(long firstBlock, long count, int state) {
    return (long) state << (COUNT_BITS + BLOCK_BITS) | count << BLOCK_BITS | firstBlock;
  }
}
