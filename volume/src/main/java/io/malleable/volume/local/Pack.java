package io.malleable.volume.local;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.UUID;
import java.util.function.BooleanSupplier;

/**
 * A copy of what several frozen layers of a chain say together, in one dense file: where a chain is
 * deep, its blocks are scattered over as many sparse files, which costs the kernel several cache
 * misses more per read than one file does. A pack is never the only place of anything: it can be
 * ignored or deleted at any time.
 *
 * <p>It belongs to the uppermost of its layers and answers for all layers above the <em>floor</em>;
 * frozen layers say the same for ever, also when they are merged, so it is valid as long as the
 * floor still lies below its layer.
 *
 * <pre>
 * pack   := header zeroes block* index
 * header := magic version:u32 layer:u128 floor:u128 runs:u32 blocks:u32 crcOfIndex:u32 crc:u32    60 bytes
 * block  := 4096 bytes, the first at byte 4096, in ascending order
 * index  := run:u64 * runs, ascending, crc32c:u32 * blocks
 * </pre>
 */
final class Pack implements Closeable {
  static final long MAGIC = 0x4d324c415950414bL; // "M2LAYPAK"

  /** 1 GiB of data: as much is copied anew when the layers above the pack have become many. */
  static final int MAX_BLOCKS = 1 << 18;

  /** Every second block another state, and zeroes in between. */
  static final int MAX_RUNS = 2 * MAX_BLOCKS + 1;

  private static final int HEADER_BYTES =
      Formats.PREFIX_BYTES + 2 * 16 + 3 * Integer.BYTES + Formats.CRC_BYTES;
  private static final int COPY_BLOCKS = 256;

  private final UUID layer;
  private final UUID floor;
  private final StoreFile file;
  private final PackMap map;

  /** Where the checksums begin, which stay on disk: each is wanted once. */
  private final long sumsBytes;

  /**
   * One bit per slot that was found right. Two threads may lose each other's bit; the block is then
   * compared once more.
   */
  private final long[] verified;

  private Pack(UUID layer, UUID floor, StoreFile file, PackMap map, long sumsBytes) {
    this.layer = layer;
    this.floor = floor;
    this.file = file;
    this.map = map;
    this.sumsBytes = sumsBytes;
    this.verified = new long[(map.slots() + Long.SIZE - 1) / Long.SIZE];
  }

  UUID layer() {
    return layer;
  }

  UUID floor() {
    return floor;
  }

  PackMap map() {
    return map;
  }

  private static String name(UUID layer) {
    return StoreLayout.pack(layer);
  }

  /** What the header says. */
  private record Header(UUID floor, int runs, int blocks, int indexCrc) {
    static Header read(StoreFile file, UUID layer) throws IOException {
      String name = name(layer);
      ByteBuffer header = Formats.read(file, name, MAGIC, HEADER_BYTES);
      UUID id = Formats.readId(header);
      UUID floor = Formats.readId(header);
      int runs = header.getInt();
      int blocks = header.getInt();
      boolean possible = runs >= 0 && runs <= MAX_RUNS && blocks >= 0 && blocks <= MAX_BLOCKS;
      if (!id.equals(layer) || !possible) {
        throw new VolumeException(
            Reason.CORRUPT,
            "%s belongs to layer %s, has %d runs and %d blocks".formatted(name, id, runs, blocks));
      }
      return new Header(floor, runs, blocks, header.getInt());
    }
  }

  /** The floor of a layer's pack, without reading more than its header. */
  static UUID floorOf(StoreFiles files, UUID layer) throws IOException {
    try (StoreFile file = files.open(name(layer))) {
      return Header.read(file, layer).floor;
    }
  }

  static Pack open(StoreFiles files, UUID layer) throws IOException {
    StoreFile file = files.open(name(layer));
    try {
      Header header = Header.read(file, layer);
      ByteBuffer index =
          ByteBuffer.allocate(header.runs * Long.BYTES + header.blocks * Integer.BYTES);
      file.read(slotBytes(header.blocks), index);
      int actual = Formats.crc(index, 0, index.capacity());
      if (actual != header.indexCrc) {
        throw new VolumeException(
            Reason.CORRUPT,
            "%s: checksum of the index is %08x, expected %08x"
                .formatted(name(layer), actual, header.indexCrc));
      }
      RunList runs = new RunList();
      index.flip();
      for (int i = 0; i < header.runs; i++) {
        long run = index.getLong();
        runs.add(RunList.firstBlock(run), RunList.count(run), RunList.state(run));
      }
      PackMap map = PackMap.of(runs);
      if (map == null || map.slots() != header.blocks) {
        throw new VolumeException(
            Reason.CORRUPT, name(layer) + ": the index does not fit the number of blocks");
      }
      long sumsBytes = slotBytes(header.blocks) + (long) header.runs * Long.BYTES;
      return new Pack(layer, header.floor, file, map, sumsBytes);
    } catch (IOException | RuntimeException e) {
      file.close();
      throw e;
    }
  }

  /** Where the slot begins; the slot after the last one is where the index begins. */
  private static long slotBytes(int slot) {
    return (1L + slot) << BlockMap.BLOCK_SHIFT;
  }

  /**
   * Makes and publishes a pack.
   *
   * @param content what the chain reads as, from the pack's layer down
   * @param runs what all layers above the floor say together, ascending
   * @return whether it was done; not when asked to stop
   */
  static boolean create(
      StoreFiles files, UUID layer, UUID floor, Chain content, RunList runs, BooleanSupplier stop)
      throws IOException {
    String name = name(layer);
    String temporary = name + StoreLayout.TEMPORARY;
    boolean done;
    try (StoreFile file = files.create(temporary)) {
      Copy copy = new Copy(file, content);
      done = copy.all(runs, stop);
      if (done) {
        copy.finish(layer, floor, runs);
        file.sync();
      }
    } catch (IOException e) {
      StoreLayout.deleteQuietly(files, temporary, e);
      throw e;
    }
    if (!done) {
      files.delete(temporary);
      return false;
    }
    files.rename(temporary, name);
    files.syncDirectory(StoreLayout.LAYERS);
    return true;
  }

  /** Writes the file from its beginning to its end. */
  private static final class Copy {
    private final StoreFile file;
    private final Chain content;
    private final ByteBuffer buffer =
        ByteBuffer.allocateDirect(COPY_BLOCKS << BlockMap.BLOCK_SHIFT);
    private final ByteBuffer sums = ByteBuffer.allocate(MAX_BLOCKS * Integer.BYTES);
    private int slot;

    Copy(StoreFile file, Chain content) {
      this.file = file;
      this.content = content;
    }

    boolean all(RunList runs, BooleanSupplier stop) throws IOException {
      for (int i = 0; i < runs.size(); i++) {
        if (RunList.state(runs.run(i)) != BlockMap.DATA) {
          continue;
        }
        long block = RunList.firstBlock(runs.run(i));
        long end = block + RunList.count(runs.run(i));
        while (block < end) {
          if (buffer.remaining() == 0) {
            if (stop.getAsBoolean()) {
              return false;
            }
            drain();
          }
          int count = (int) Math.min(end - block, buffer.remaining() >>> BlockMap.BLOCK_SHIFT);
          copy(block, count);
          block += count;
        }
      }
      drain();
      return true;
    }

    private void copy(long block, int count) throws IOException {
      int start = buffer.position();
      buffer.limit(start + (count << BlockMap.BLOCK_SHIFT));
      content.read(block << BlockMap.BLOCK_SHIFT, buffer);
      buffer.limit(buffer.capacity());
      for (int i = 0; i < count; i++) {
        int from = start + (i << BlockMap.BLOCK_SHIFT);
        sums.putInt(Formats.crc(buffer, from, from + BlockMap.BLOCK_BYTES));
      }
    }

    private void drain() throws IOException {
      buffer.flip();
      int count = buffer.remaining() >>> BlockMap.BLOCK_SHIFT;
      if (count > 0) {
        file.write(slotBytes(slot), buffer);
        slot += count;
      }
      buffer.clear();
    }

    void finish(UUID layer, UUID floor, RunList runs) throws IOException {
      ByteBuffer index = ByteBuffer.allocate(runs.size() * Long.BYTES + slot * Integer.BYTES);
      for (int i = 0; i < runs.size(); i++) {
        index.putLong(runs.run(i));
      }
      index.put(sums.flip()).flip();
      int indexCrc = Formats.crc(index, 0, index.limit());
      file.write(slotBytes(slot), index);
      ByteBuffer header = Formats.header(MAGIC, HEADER_BYTES);
      Formats.putId(header, Optional.of(layer));
      Formats.putId(header, Optional.of(floor));
      header.putInt(runs.size()).putInt(slot).putInt(indexCrc);
      file.write(0, Formats.seal(header));
    }
  }

  /** Reads blocks that follow one another and are all here. */
  void read(long positionBytes, ByteBuffer destination) throws IOException {
    long block = positionBytes >>> BlockMap.BLOCK_SHIFT;
    int slot = map.slotOf(block);
    int start = destination.position();
    long filePosition = slotBytes(slot) + (positionBytes & (BlockMap.BLOCK_BYTES - 1));
    file.read(filePosition, destination);
    long end = filePosition + destination.position() - start;
    for (; slotBytes(slot) < end; slot++) {
      if ((verified[slot >>> 6] & 1L << slot) == 0) {
        compare(slot, LayerSums.blockCrc(file, slotBytes(slot), filePosition, destination, start));
        verified[slot >>> 6] |= 1L << slot;
      }
    }
  }

  private void compare(int slot, int actual) throws IOException {
    ByteBuffer sum = ByteBuffer.allocate(Integer.BYTES);
    file.read(sumsBytes + (long) slot * Integer.BYTES, sum);
    int expected = sum.getInt(0);
    if (actual != expected) {
      throw new VolumeException(
          Reason.CORRUPT,
          "%s is damaged at byte %d: checksum %08x, expected %08x"
              .formatted(name(layer), slotBytes(slot), actual, expected));
    }
  }

  /** For a scrub: compares a block on disk whether or not it was compared before. */
  void recheck(int slot) throws IOException {
    ByteBuffer whole = ByteBuffer.allocate(BlockMap.BLOCK_BYTES);
    file.read(slotBytes(slot), whole);
    compare(slot, Formats.crc(whole, 0, BlockMap.BLOCK_BYTES));
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
