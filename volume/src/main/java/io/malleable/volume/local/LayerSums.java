package io.malleable.volume.local;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.LongBuffer;
import java.util.Arrays;
import java.util.Optional;
import java.util.UUID;
import java.util.function.BooleanSupplier;
import java.util.zip.CRC32C;

/**
 * Checksums of a frozen layer's blocks, each compared at the first read since the layer was opened.
 * Made in the background some time after the layer froze: what was damaged before that is not seen.
 *
 * <pre>
 * sums   := header index crc:u32 record*
 * header := magic version:u32 layer:u128 pages:u32 crc:u32              36 bytes
 * index  := pageIndex:u64, ascending, one per page of 4,096 blocks that has data
 * record := crc32c:u32 * 4096, zero for blocks without data
 * </pre>
 */
final class LayerSums implements Closeable {
  static final long MAGIC = 0x4d324c415953554dL; // "M2LAYSUM"
  static final int HEADER_BYTES = Formats.PREFIX_BYTES + 16 + Integer.BYTES + Formats.CRC_BYTES;
  private static final int RECORD_BYTES = BlockMap.PAGE_BLOCKS * Integer.BYTES;
  private static final int MAX_PAGES = 1 << 24;
  private static final long MAX_PAGE_INDEX = 1L << (MapLog.BLOCK_BITS - BlockMap.PAGE_SHIFT);

  private final UUID layer;
  private final StoreFile file;
  private final StoreFile data;
  private final Pages pages;

  /** The layer's, which remembers what was found right. */
  private final BlockMap map;

  private LayerSums(Layer layer, StoreFile file, Pages pages) {
    this.layer = layer.id;
    this.file = file;
    this.data = layer.data;
    this.map = layer.map;
    this.pages = pages;
  }

  /** Which pages have a record, in a few bits for each page of the volume. */
  static final class Pages {
    private final int count;
    private final long[] bits;

    /** How many pages have a record before the first one of each word. */
    private final int[] before;

    /**
     * From the index of a file.
     *
     * @throws VolumeException when it does not ascend, or goes beyond what a map can say
     */
    Pages(LongBuffer index, String name) throws VolumeException {
      count = index.remaining();
      long last = -1;
      for (int i = 0; i < count; i++) {
        long page = index.get(i);
        if (page <= last || page >= MAX_PAGE_INDEX) {
          throw new VolumeException(
              Reason.CORRUPT, "%s: page %d follows page %d".formatted(name, page, last));
        }
        last = page;
      }
      bits = new long[(int) (last >> 6) + 1];
      for (int i = 0; i < count; i++) {
        long page = index.get(i);
        bits[(int) (page >>> 6)] |= 1L << page;
      }
      before = new int[bits.length];
      for (int i = 1; i < bits.length; i++) {
        before[i] = before[i - 1] + Long.bitCount(bits[i - 1]);
      }
    }

    int count() {
      return count;
    }

    /** Which record the page has, counted from 0; -1 if none. */
    int indexOf(long page) {
      long word = page >>> 6;
      if (word >= bits.length || (bits[(int) word] >>> page & 1) == 0) {
        return -1;
      }
      return before[(int) word] + Long.bitCount(bits[(int) word] & (1L << page) - 1);
    }
  }

  static LayerSums open(StoreFiles files, Layer layer) throws IOException {
    String name = StoreLayout.sums(layer.id);
    StoreFile file = files.open(name);
    try {
      ByteBuffer header = Formats.read(file, name, MAGIC, HEADER_BYTES);
      UUID id = Formats.readId(header);
      int count = header.getInt();
      if (!id.equals(layer.id) || count < 0 || count > MAX_PAGES) {
        throw new VolumeException(
            Reason.CORRUPT, "%s belongs to layer %s, has %d pages".formatted(name, id, count));
      }
      ByteBuffer index = ByteBuffer.allocate(count * Long.BYTES + Formats.CRC_BYTES);
      file.read(HEADER_BYTES, index);
      int end = count * Long.BYTES;
      if (index.getInt(end) != Formats.crc(index, 0, end)) {
        throw new VolumeException(Reason.CORRUPT, name + ": checksum of the index is wrong");
      }
      Pages pages = new Pages(index.flip().limit(end).asLongBuffer(), name);
      long expectedBytes = recordPosition(count, count);
      if (file.sizeBytes() < expectedBytes) {
        throw new VolumeException(
            Reason.CORRUPT,
            "%s is cut off: %d bytes, expected %d"
                .formatted(name, file.sizeBytes(), expectedBytes));
      }
      return new LayerSums(layer, file, pages);
    } catch (IOException | RuntimeException e) {
      file.close();
      throw e;
    }
  }

  /**
   * Computes and publishes the checksums of a layer that nobody changes meanwhile. Those that parts
   * of it had while it could change are taken over unseen: what was damaged since is found later.
   *
   * @return whether it was done; not when asked to stop
   */
  static boolean create(StoreFiles files, Layer layer, BooleanSupplier stop) throws IOException {
    String name = StoreLayout.sums(layer.id);
    String temporary = name + StoreLayout.TEMPORARY;
    long[] pages = pagesWithData(layer.map);
    boolean stopped = false;
    try (StoreFile file = files.create(temporary)) {
      ByteBuffer header = Formats.header(MAGIC, HEADER_BYTES);
      Formats.putId(header, Optional.of(layer.id));
      header.putInt(pages.length);
      file.write(0, Formats.seal(header));
      ByteBuffer index = ByteBuffer.allocate(pages.length * Long.BYTES + Formats.CRC_BYTES);
      index.asLongBuffer().put(pages);
      index.position(pages.length * Long.BYTES);
      file.write(HEADER_BYTES, Formats.seal(index));
      ByteBuffer record = ByteBuffer.allocate(RECORD_BYTES);
      ByteBuffer buffer = ByteBuffer.allocateDirect(1 << 20);
      for (int i = 0; i < pages.length; i++) {
        stopped = stop.getAsBoolean();
        if (stopped) {
          break;
        }
        takeOver(layer, pages[i], record.clear());
        sumPage(layer, pages[i], record, buffer);
        file.write(recordPosition(pages.length, i), record.clear());
      }
      file.sync();
    } catch (IOException e) {
      StoreLayout.deleteQuietly(files, temporary, e);
      throw e;
    }
    if (stopped) {
      files.delete(temporary);
      return false;
    }
    files.rename(temporary, name);
    files.syncDirectory(StoreLayout.LAYERS);
    return true;
  }

  /**
   * For a map of version 1, whose end says nothing: the checksums know which blocks it must have.
   *
   * @throws VolumeException {@code CORRUPT} when the two differ
   */
  void requireSameBlocks() throws IOException {
    ByteBuffer record = ByteBuffer.allocate(RECORD_BYTES);
    long[] withData = pagesWithData(map);
    for (long page : withData) {
      int index = pages.indexOf(page);
      long first = page << BlockMap.PAGE_SHIFT;
      if (index < 0) {
        throw differs(first);
      }
      file.read(recordPosition(pages.count(), index), record.clear());
      for (int i = 0; i < BlockMap.PAGE_BLOCKS; i++) {
        boolean stored = map.stateOf(first + i) == BlockMap.DATA;
        boolean summed = record.getInt(i * Integer.BYTES) != 0;
        // The checksum of a block may happen to be zero.
        if (stored != summed && (!stored || crcOnDisk(first + i) != 0)) {
          throw differs(first + i);
        }
      }
    }
    if (withData.length != pages.count()) {
      throw new VolumeException(
          Reason.CORRUPT,
          "%s speaks of %d pages, its checksums of %d"
              .formatted(StoreLayout.map(layer), withData.length, pages.count()));
    }
  }

  private VolumeException differs(long block) {
    return new VolumeException(
        Reason.CORRUPT,
        "%s and its checksums differ on block %d".formatted(StoreLayout.map(layer), block));
  }

  private static long recordPosition(int pages, int index) {
    return HEADER_BYTES
        + (long) pages * Long.BYTES
        + Formats.CRC_BYTES
        + (long) index * RECORD_BYTES;
  }

  private static long[] pagesWithData(BlockMap map) {
    long[] found = new long[16];
    int count = 0;
    for (long page = 0; page < map.pageLimit(); page++) {
      if (map.speaksOf(page)) {
        if (count == found.length) {
          found = Arrays.copyOf(found, 2 * count);
        }
        found[count++] = page;
      }
    }
    return Arrays.copyOf(found, count);
  }

  private static void takeOver(Layer layer, long page, ByteBuffer record) throws IOException {
    LiveSums live = layer.live();
    ByteBuffer known = live == null ? null : live.sumsOf(page);
    if (known == null) {
      record.put(0, new byte[RECORD_BYTES]);
      return;
    }
    record.put(0, known, 0, RECORD_BYTES);
    for (int i = 0; i < BlockMap.PAGE_BLOCKS; i++) {
      if (layer.map.stateOf((page << BlockMap.PAGE_SHIFT) + i) != BlockMap.DATA) {
        record.putInt(i * Integer.BYTES, 0);
      }
    }
  }

  /**
   * Computes what a record lacks.
   *
   * @param record has the checksums of some of the page's blocks, and zeroes
   */
  static void sumPage(Layer layer, long page, ByteBuffer record, ByteBuffer buffer)
      throws IOException {
    RunList runs = new RunList();
    long firstBlock = page << BlockMap.PAGE_SHIFT;
    layer.map.forEachRun(firstBlock, firstBlock + BlockMap.PAGE_BLOCKS, runs::add);
    int most = buffer.capacity() >>> BlockMap.BLOCK_SHIFT;
    for (int i = 0; i < runs.size(); i++) {
      if (RunList.state(runs.run(i)) != BlockMap.DATA) {
        continue;
      }
      long block = RunList.firstBlock(runs.run(i));
      long end = block + RunList.count(runs.run(i));
      while (block < end) {
        int first = (int) (block - firstBlock);
        int count = 0;
        while (count < Math.min(most, end - block) && lacks(record, first + count)) {
          count++;
        }
        if (count > 0) {
          sumBlocks(layer, block, record, buffer.clear().limit(count << BlockMap.BLOCK_SHIFT));
        }
        block += Math.max(1, count);
      }
    }
  }

  private static boolean lacks(ByteBuffer record, int index) {
    return record.getInt(index * Integer.BYTES) == 0;
  }

  /** As many blocks as the buffer takes. */
  private static void sumBlocks(Layer layer, long block, ByteBuffer record, ByteBuffer buffer)
      throws IOException {
    layer.read(block << BlockMap.BLOCK_SHIFT, buffer);
    int first = (int) block & (BlockMap.PAGE_BLOCKS - 1);
    for (int from = 0; from < buffer.limit(); from += BlockMap.BLOCK_BYTES) {
      record.putInt(
          (first + (from >>> BlockMap.BLOCK_SHIFT)) * Integer.BYTES,
          Formats.crc(buffer, from, from + BlockMap.BLOCK_BYTES));
    }
  }

  /**
   * Compares what was just read, between {@code start} and the buffer's position, as far as it was
   * not compared before.
   */
  void check(long positionBytes, ByteBuffer read, int start) throws IOException {
    long endBytes = positionBytes + read.position() - start;
    long block = positionBytes >>> BlockMap.BLOCK_SHIFT;
    for (; block << BlockMap.BLOCK_SHIFT < endBytes; block++) {
      if (!map.checked(block)) {
        compare(block, blockCrc(data, block << BlockMap.BLOCK_SHIFT, positionBytes, read, start));
        map.check(block);
      }
    }
  }

  /**
   * The checksum of the block at {@code blockBytes} of a file: of what was just read when that is
   * all of it, otherwise of the file.
   *
   * @param positionBytes where in the file the read began
   * @param start where in the buffer it began; it ended at the buffer's position
   */
  static int blockCrc(
      StoreFile file, long blockBytes, long positionBytes, ByteBuffer read, int start)
      throws IOException {
    long from = start + blockBytes - positionBytes;
    long to = from + BlockMap.BLOCK_BYTES;
    if (from >= start && to <= read.position()) {
      return crc(read, (int) from, (int) to);
    }
    ByteBuffer whole = ByteBuffer.allocate(BlockMap.BLOCK_BYTES);
    file.read(blockBytes, whole);
    return Formats.crc(whole, 0, BlockMap.BLOCK_BYTES);
  }

  private static int crc(ByteBuffer buffer, int from, int to) {
    CRC32C crc = new CRC32C();
    int position = buffer.position();
    int limit = buffer.limit();
    crc.update(buffer.position(from).limit(to));
    buffer.limit(limit).position(position);
    return (int) crc.getValue();
  }

  private int crcOnDisk(long block) throws IOException {
    ByteBuffer whole = ByteBuffer.allocate(BlockMap.BLOCK_BYTES);
    data.read(block << BlockMap.BLOCK_SHIFT, whole);
    return Formats.crc(whole, 0, BlockMap.BLOCK_BYTES);
  }

  private void compare(long block, int actual) throws IOException {
    int expected = expected(block);
    if (actual != expected) {
      throw damage(layer, block, actual, expected);
    }
  }

  static VolumeException damage(UUID layer, long block, int actual, int expected) {
    return new VolumeException(
        Reason.CORRUPT,
        "%s is damaged at byte %d: checksum %08x, expected %08x"
            .formatted(StoreLayout.data(layer), block << BlockMap.BLOCK_SHIFT, actual, expected));
  }

  private int expected(long block) throws IOException {
    int index = pages.indexOf(block >>> BlockMap.PAGE_SHIFT);
    if (index < 0) {
      throw new VolumeException(
          Reason.CORRUPT,
          "%s has no checksum of block %d".formatted(StoreLayout.sums(layer), block));
    }
    ByteBuffer sum = ByteBuffer.allocate(Integer.BYTES);
    long within = block & (BlockMap.PAGE_BLOCKS - 1);
    file.read(recordPosition(pages.count(), index) + within * Integer.BYTES, sum);
    return sum.getInt(0);
  }

  /** For a scrub: compares the block on disk whether or not it was compared before. */
  void recheck(long block) throws IOException {
    compare(block, crcOnDisk(block));
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
