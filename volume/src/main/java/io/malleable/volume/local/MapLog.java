package io.malleable.volume.local;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.UUID;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * The durable form of a layer's block map: a header and batches of changes, each batch appended and
 * synced as a whole. Not thread-safe: the caller holds the layer's flush lock.
 *
 * <pre>
 * log    := header batch*
 * header := magic version:u32 blockShift:u32 layer:u128 parent:u128 generation:u32
 *           madeBytes:u64 crc:u32                                                           64 bytes
 * batch  := kind:u32 count:u32 sequence:u64 crc:u32 zero:u32 content            24 bytes + content
 * kind   := "RUNS" run*count | "PAGE" page*count | "SEAL" seal
 * run    := state:2 count:22 firstBlock:40                                          bits of a u64
 * page   := pageIndex:u64 word:u64*128       2 bits for each of 4,096 blocks, lowest bits first
 * seal   := sum:u32 changes:u32                              of all batches that stand before it
 * </pre>
 *
 * The CRC of a batch also covers the layer's id, so that bytes of another log are never taken for
 * ours. A seal says that nothing is missing: a log that nobody appends to ends with one, and the
 * next batch takes its place. Of a log that is appended to, {@code madeBytes} says how much it had
 * when it was made. Version 1 has no pages, no seals and no {@code madeBytes}.
 */
final class MapLog implements Closeable {
  static final long MAGIC = 0x4d324c41594d4150L; // "M2LAYMAP"
  static final int VERSION = 2;
  static final int HEADER_BYTES =
      Formats.PREFIX_BYTES + 2 * Integer.BYTES + 2 * 16 + Long.BYTES + Formats.CRC_BYTES;
  static final int HEADER_BYTES_OF_1 = HEADER_BYTES - Long.BYTES;
  static final int BATCH_HEADER_BYTES = 24;
  static final int RUN_BYTES = Long.BYTES;
  static final int MAX_BATCH_RUNS = 1 << 16;
  static final long MAX_RUN_BLOCKS = (1 << 22) - 1;
  static final int BLOCK_BITS = 40;

  private static final int RUNS = 0x52554e53; // "RUNS"
  private static final int PAGES = 0x50414745; // "PAGE"
  private static final int SEAL = 0x5345414c; // "SEAL"
  private static final int PAGE_BYTES = Long.BYTES * (1 + BlockPage.PAIR_WORDS);
  private static final int MAX_BATCH_PAGES = 256;

  /**
   * Not more than the shortest batch, which leaves nothing of a seal in whose place it is written.
   */
  private static final int SEAL_BYTES = 2 * Integer.BYTES;

  private static final int COUNT_OFFSET = 4;
  private static final int SEQUENCE_OFFSET = 8;
  private static final int CRC_OFFSET = 16;
  private static final int COUNT_BITS = 22;

  /** A page with more runs takes less as a page. */
  private static final int MAX_PAGE_RUNS = PAGE_BYTES / RUN_BYTES;

  /** Logs so long are written anew once most of them is history. */
  private static final long COMPACT_BYTES = 1 << 20;

  private static final int COMPACT_FACTOR = 4;

  private final MapHeader header;
  private final String name;
  private final UUID layer;
  private final StoreFile file;

  /** Where the next batch goes: behind the last one, in place of the seal if there is one. */
  private long endBytes;

  private long sequence;
  private long changes;
  private boolean sealed;

  /** Behind its end there is what a crash has left. */
  private boolean ragged;

  private final CRC32C sum = new CRC32C();
  private ByteBuffer buffer = smallBuffer();

  private MapLog(MapHeader header, StoreFile file) {
    this.header = header;
    this.layer = header.layer();
    this.name = StoreLayout.map(layer);
    this.file = file;
    this.endBytes = header.bytes();
  }

  private static ByteBuffer smallBuffer() {
    return ByteBuffer.allocateDirect(BATCH_HEADER_BYTES + 64 * RUN_BYTES);
  }

  /**
   * Writes a log in place of this one, complete and durable but not yet under its name. A map that
   * changes meanwhile is written as it is before or after, block by block.
   *
   * @param besides runs that the map does not know yet
   */
  void writeSuccessor(StoreFiles files, Optional<UUID> parent, BlockMap map, RunList besides)
      throws IOException {
    String temporary = name + StoreLayout.TEMPORARY;
    try {
      write(
          files,
          temporary,
          new MapHeader(VERSION, layer, parent, header.generation() + 1, 0),
          log -> log.writeAll(map, besides));
    } catch (IOException e) {
      StoreLayout.deleteQuietly(files, temporary, e);
      throw e;
    }
  }

  /** Writes a new log of what the map says; its directory entry is not durable yet. */
  static void write(StoreFiles files, UUID layer, Optional<UUID> parent, BlockMap map)
      throws IOException {
    write(
        files,
        StoreLayout.map(layer),
        new MapHeader(VERSION, layer, parent, 0, 0),
        log -> log.writeAll(map, new RunList()));
  }

  private interface Content {
    void write(MapLog log) throws IOException;
  }

  private static void write(StoreFiles files, String name, MapHeader header, Content content)
      throws IOException {
    try (StoreFile file = files.create(name)) {
      MapLog log = new MapLog(header, file);
      content.write(log);
      header.write(file, log.endBytes);
      log.writeSeal();
      file.sync();
    }
  }

  /** Page by page, as there may be more runs than fit in memory. */
  private void writeAll(BlockMap map, RunList besides) throws IOException {
    RunList runs = new RunList();
    RunList ofPage = new RunList();
    ByteBuffer pages = ByteBuffer.allocate(MAX_BATCH_PAGES * PAGE_BYTES);
    for (long page = 0; page < map.pageLimit(); page++) {
      if (!map.speaksOf(page)) {
        continue;
      }
      long first = page << BlockMap.PAGE_SHIFT;
      ofPage.clear();
      map.forEachRun(first, first + BlockMap.PAGE_BLOCKS, ofPage::add);
      if (ofPage.size() > MAX_PAGE_RUNS) {
        putPage(pages, page, ofPage);
        if (!pages.hasRemaining()) {
          writePages(pages);
        }
      } else {
        runs.addAll(ofPage);
        if (runs.size() > MAX_BATCH_RUNS - MAX_PAGE_RUNS) {
          writeRuns(runs);
          runs.clear();
        }
      }
    }
    writePages(pages);
    writeRuns(runs);
    writeRuns(besides);
  }

  private static void putPage(ByteBuffer pages, long page, RunList runs) {
    int start = pages.position() + Long.BYTES;
    pages.putLong(page);
    for (int word = 0; word < BlockPage.PAIR_WORDS; word++) {
      pages.putLong(0);
    }
    for (int i = 0; i < runs.size(); i++) {
      long run = runs.run(i);
      int from = (int) RunList.firstBlock(run) & (BlockMap.PAGE_BLOCKS - 1);
      for (int block = from; block < from + RunList.count(run); block++) {
        int at = start + (block >>> 5) * Long.BYTES;
        long bits = (long) RunList.state(run) << ((block & 31) << 1);
        pages.putLong(at, pages.getLong(at) | bits);
      }
    }
  }

  /** Opens a log and replays it into the map. */
  static MapLog open(StoreFiles files, UUID layer, BlockMap map) throws IOException {
    MapLog log = openInto(files, layer, map);
    map.compact();
    return log;
  }

  /** The same where the map is in memory already, which a second one would double. */
  static MapLog reopen(StoreFiles files, UUID layer) throws IOException {
    return openInto(files, layer, null);
  }

  private static MapLog openInto(StoreFiles files, UUID layer, @Nullable BlockMap map)
      throws IOException {
    StoreFile file = files.open(StoreLayout.map(layer));
    try {
      MapLog log = new MapLog(MapHeader.read(file, layer), file);
      log.replay(map);
      // Most logs that are opened are never written to, and there are many.
      log.buffer = smallBuffer();
      return log;
    } catch (IOException | RuntimeException e) {
      file.close();
      throw e;
    }
  }

  private void replay(@Nullable BlockMap map) throws IOException {
    long size = file.sizeBytes();
    int length = readBatch(endBytes, size, sequence + 1);
    while (length > 0 && !sealed) {
      apply(map);
      added(length);
      length = sealed ? length : readBatch(endBytes, size, sequence + 1);
    }
    ragged = endBytes + (sealed ? length : 0) < size;
    refuseHoleInHistory(size);
    if (endBytes < header.madeBytes()) {
      throw new VolumeException(
          Reason.CORRUPT,
          "%s is cut off at byte %d, it was made with %d"
              .formatted(name, endBytes, header.madeBytes()));
    }
  }

  /** The batch in the buffer. */
  private void apply(@Nullable BlockMap map) throws VolumeException {
    int count = buffer.getInt(COUNT_OFFSET);
    buffer.position(BATCH_HEADER_BYTES);
    switch (buffer.getInt(0)) {
      case RUNS -> {
        for (int i = 0; i < count; i++) {
          long run = buffer.getLong();
          if (map != null) {
            map.set(RunList.firstBlock(run), RunList.count(run), RunList.state(run));
          }
        }
        changes += count;
      }
      case PAGES -> {
        for (int i = 0; i < count; i++) {
          long page = buffer.getLong();
          long[] words = words();
          if (map != null) {
            map.setPage(page, words);
          }
        }
        changes += count;
      }
      default -> checkSeal();
    }
  }

  private long[] words() throws VolumeException {
    long[] words = new long[BlockPage.PAIR_WORDS];
    for (int i = 0; i < words.length; i++) {
      long word = buffer.getLong();
      if ((word & word >>> 1 & 0x5555555555555555L) != 0) {
        throw new VolumeException(
            Reason.CORRUPT, "%s: a page has a state that is none".formatted(name));
      }
      words[i] = word;
    }
    return words;
  }

  private void checkSeal() throws VolumeException {
    int sealedSum = buffer.getInt();
    int sealedChanges = buffer.getInt();
    if (sealedChanges != (int) changes || sealedSum != (int) sum.getValue()) {
      throw new VolumeException(
          Reason.CORRUPT,
          "%s is sealed with %d changes and checksum %08x, it has %d with %08x"
              .formatted(name, sealedChanges, sealedSum, changes, (int) sum.getValue()));
    }
  }

  /** The batch in the buffer stands in the file. */
  private void added(int length) {
    sealed = buffer.getInt(0) == SEAL;
    if (!sealed) {
      sum.update(buffer.duplicate().position(0).limit(length));
      endBytes += length;
      sequence++;
    }
  }

  /**
   * A batch that a crash cut off is the last one ever written: if a later one follows, what is
   * broken was durable once and has been damaged since.
   */
  private void refuseHoleInHistory(long size) throws IOException {
    long position = endBytes + Long.BYTES;
    ByteBuffer window = ByteBuffer.allocate(1 << 16);
    while (position + BATCH_HEADER_BYTES <= size) {
      int length = (int) Math.min(window.capacity(), size - position);
      file.read(position, window.clear().limit(length));
      int last = length - BATCH_HEADER_BYTES;
      for (int i = 0; i <= last; i += Long.BYTES) {
        long found = window.getLong(i + SEQUENCE_OFFSET);
        if (contentBytes(window.getInt(i), 1) > 0
            && found > sequence + 1
            && readBatch(position + i, size, found) > 0) {
          throw new VolumeException(
              Reason.CORRUPT,
              "%s: batch %d at byte %d is damaged, batch %d follows it"
                  .formatted(name, sequence + 1, endBytes, found));
        }
      }
      position += last - last % Long.BYTES + Long.BYTES;
    }
  }

  /** Length of the content of a batch, or -1 when there can be no such batch. */
  private static int contentBytes(int kind, int count) {
    return switch (kind) {
      case RUNS -> count > 0 && count <= MAX_BATCH_RUNS ? count * RUN_BYTES : -1;
      case PAGES -> count > 0 && count <= MAX_BATCH_PAGES ? count * PAGE_BYTES : -1;
      case SEAL -> count == 1 ? SEAL_BYTES : -1;
      default -> -1;
    };
  }

  /** Reads a batch into the buffer; its length, or -1 when there is none. */
  private int readBatch(long position, long size, long expectedSequence) throws IOException {
    if (position + BATCH_HEADER_BYTES > size) {
      return -1;
    }
    try {
      file.read(position, buffer.clear().limit(BATCH_HEADER_BYTES));
      int content = contentBytes(buffer.getInt(0), buffer.getInt(COUNT_OFFSET));
      if (content < 0
          || buffer.getLong(SEQUENCE_OFFSET) != expectedSequence
          || position + BATCH_HEADER_BYTES + content > size) {
        return -1;
      }
      int length = BATCH_HEADER_BYTES + content;
      reserve(length);
      file.read(position, buffer.clear().limit(length));
      int stored = buffer.getInt(CRC_OFFSET);
      boolean whole = stored == batchCrc(length);
      buffer.putInt(CRC_OFFSET, stored);
      return whole ? length : -1;
    } catch (EOFException e) {
      // The size was read before: somebody else truncated the file just now.
      throw new VolumeException(Reason.CORRUPT, name + " became shorter while it was read", e);
    }
  }

  private int batchCrc(int lengthBytes) {
    buffer.putInt(
        CRC_OFFSET, (int) (layer.getMostSignificantBits() ^ layer.getLeastSignificantBits()));
    return Formats.crc(buffer, 0, lengthBytes);
  }

  private void reserve(int lengthBytes) {
    if (buffer.capacity() < lengthBytes) {
      buffer = ByteBuffer.allocateDirect(Math.max(lengthBytes, 2 * buffer.capacity()));
    }
  }

  /**
   * Appends and syncs, batch by batch: a batch is on disk before the next one is written, which is
   * what lets a reader tell a cut-off end from damage in the middle.
   */
  void append(RunList batch) throws IOException {
    for (int from = 0; from < batch.size(); from += MAX_BATCH_RUNS) {
      writeRuns(batch, from);
      syncAppended();
    }
  }

  /** Says that nothing is missing; durable when it returns. */
  void seal() throws IOException {
    writeSeal();
    syncAppended();
  }

  private void syncAppended() throws SyncFailedException {
    try {
      file.sync();
    } catch (IOException e) {
      throw new SyncFailedException(name, e);
    }
  }

  private void writeRuns(RunList list) throws IOException {
    for (int from = 0; from < list.size(); from += MAX_BATCH_RUNS) {
      writeRuns(list, from);
    }
  }

  private void writeRuns(RunList list, int from) throws IOException {
    int count = Math.min(MAX_BATCH_RUNS, list.size() - from);
    begin(RUNS, count);
    for (int i = 0; i < count; i++) {
      buffer.putLong(list.run(from + i));
    }
    writeBatch();
    changes += count;
  }

  private void writePages(ByteBuffer pages) throws IOException {
    int count = pages.position() / PAGE_BYTES;
    if (count > 0) {
      begin(PAGES, count);
      buffer.put(pages.flip());
      writeBatch();
      changes += count;
    }
    pages.clear();
  }

  private void writeSeal() throws IOException {
    begin(SEAL, 1);
    buffer.putInt((int) sum.getValue()).putInt((int) changes);
    writeBatch();
  }

  private void begin(int kind, int count) {
    reserve(BATCH_HEADER_BYTES + contentBytes(kind, count));
    buffer.clear().putInt(kind).putInt(count).putLong(sequence + 1).putLong(0);
  }

  private void writeBatch() throws IOException {
    int length = buffer.position();
    buffer.putInt(CRC_OFFSET, batchCrc(length));
    file.write(endBytes, buffer.flip());
    added(length);
  }

  /** Makes durable what a process that died may have written. */
  void sync() throws IOException {
    file.sync();
  }

  /** Whether it ends with a seal, behind which there is nothing. */
  boolean sealed() {
    return sealed && !ragged;
  }

  /** Whether it can no longer be appended to, or should not. */
  boolean isOutdated() {
    return header.version() < VERSION
        || ragged
        || (endBytes > COMPACT_BYTES && endBytes > COMPACT_FACTOR * header.madeBytes());
  }

  UUID layer() {
    return layer;
  }

  int version() {
    return header.version();
  }

  int generation() {
    return header.generation();
  }

  /** Number of its batches, the seal not counted. */
  long sequence() {
    return sequence;
  }

  long bytes() {
    return endBytes;
  }

  @Override
  public void close() throws IOException {
    file.close();
  }

  static long encode(long firstBlock, long count, int state) {
    return (long) state << (COUNT_BITS + BLOCK_BITS) | count << BLOCK_BITS | firstBlock;
  }
}
