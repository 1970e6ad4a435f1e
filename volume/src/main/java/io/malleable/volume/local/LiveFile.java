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
 * Checksums of a layer that a disk writes to, on disk: one region, of 16 MiB, for each page of the
 * layer's map. {@link LiveSums} says when what is written.
 *
 * <pre>
 * live   := header zeroes group*                          group n at byte 4096 + 4,198,400 * n
 * header := magic version:u32 layer:u128 crc:u32                                32 bytes
 * group  := entry*256 sums*256
 * entry  := state:u32 sumsCrc:u32 zero:u32 crc:u32                              16 bytes
 * sums   := crc32c:u32 * 4096, zero for blocks without a checksum
 * </pre>
 *
 * <p>The CRC of an entry also covers the layer's id and the number of the region. Where nothing was
 * written, or the file has ended, no region has checksums.
 */
final class LiveFile implements Closeable {
  static final long MAGIC = 0x4d324c495653554dL; // "M2LIVSUM"
  static final int HEADER_BYTES = Formats.PREFIX_BYTES + 16 + Formats.CRC_BYTES;

  /** Regions in a group: the pages of one chunk of the map. */
  static final int GROUP_SHIFT = BlockChunk.PAGES_SHIFT;

  static final int GROUP_REGIONS = 1 << GROUP_SHIFT;
  static final int SUMS_BYTES = BlockMap.PAGE_BLOCKS * Integer.BYTES;

  /** In place of the checksum of a block that has none; one that is zero is not kept. */
  static final int NO_SUM = 0;

  static final int GROUPS_OFFSET = 4096;
  static final int ENTRY_BYTES = 16;
  static final int ENTRIES_BYTES = GROUP_REGIONS * ENTRY_BYTES;

  private static final int ENTRY_CRC_OFFSET = ENTRY_BYTES - Formats.CRC_BYTES;
  private static final long GROUP_BYTES = ENTRIES_BYTES + (long) GROUP_REGIONS * SUMS_BYTES;
  private static final int REGION_MASK = GROUP_REGIONS - 1;

  /** What an entry says of its region. */
  enum State {
    NO_SUMS(0),

    /** The sums are those of the data, and both are durable. */
    QUIET(1),

    /** The data may have changed since the sums were made. */
    IN_FLUX(2),

    /** The entry is none that was ever written. */
    DAMAGED(-1);

    private final int code;

    State(int code) {
      this.code = code;
    }
  }

  private final UUID layer;
  private final String name;
  private final StoreFile file;

  private LiveFile(UUID layer, StoreFile file) {
    this.layer = layer;
    this.name = StoreLayout.live(layer);
    this.file = file;
  }

  /** An empty one, durable when this returns. A file that has its name has a header. */
  static LiveFile create(StoreFiles files, UUID layer) throws IOException {
    ByteBuffer header = Formats.header(MAGIC, HEADER_BYTES);
    Formats.putId(header, Optional.of(layer));
    Formats.publish(files, StoreLayout.live(layer), Formats.seal(header));
    return new LiveFile(layer, files.open(StoreLayout.live(layer)));
  }

  static LiveFile open(StoreFiles files, UUID layer) throws IOException {
    String name = StoreLayout.live(layer);
    StoreFile file = files.open(name);
    try {
      UUID id = Formats.readId(Formats.read(file, name, MAGIC, HEADER_BYTES));
      if (!id.equals(layer)) {
        throw new VolumeException(Reason.CORRUPT, name + " belongs to layer " + id);
      }
      return new LiveFile(layer, file);
    } catch (IOException | RuntimeException e) {
      StoreLayout.closeQuietly(file, new IOException(e));
      throw e;
    }
  }

  String name() {
    return name;
  }

  /** Behind the last one there is. */
  int endGroup() throws IOException {
    long bytes = file.sizeBytes() - GROUPS_OFFSET;
    return bytes <= 0 ? 0 : Math.toIntExact((bytes + GROUP_BYTES - 1) / GROUP_BYTES);
  }

  private static long positionOf(long group) {
    return GROUPS_OFFSET + group * GROUP_BYTES;
  }

  private static long sumsPosition(long region) {
    return positionOf(region >>> GROUP_SHIFT) + ENTRIES_BYTES + (region & REGION_MASK) * SUMS_BYTES;
  }

  /** The entries of one group as they were read, to be changed and written back. */
  final class Entries {
    private final long firstRegion;
    private final ByteBuffer bytes = ByteBuffer.allocate(ENTRIES_BYTES);
    private int from = GROUP_REGIONS;
    private int to;

    private Entries(long group) throws IOException {
      firstRegion = group << GROUP_SHIFT;
      try {
        file.read(positionOf(group), bytes);
      } catch (EOFException e) {
        // Sums lie behind entries, and are written first: the file has none here, or was cut off.
        bytes.clear().put(new byte[ENTRIES_BYTES]);
      }
    }

    State state(long region) {
      int at = offsetOf(region);
      int state = bytes.getInt(at);
      if (state == 0 && bytes.getLong(at) == 0 && bytes.getLong(at + Long.BYTES) == 0) {
        return State.NO_SUMS;
      }
      boolean whole = bytes.getInt(at + ENTRY_CRC_OFFSET) == crcOf(region);
      if (whole && state == State.QUIET.code) {
        return State.QUIET;
      }
      return whole && state == State.IN_FLUX.code ? State.IN_FLUX : State.DAMAGED;
    }

    /** Of the sums, whatever the state. */
    int sumsCrc(long region) {
      return bytes.getInt(offsetOf(region) + Integer.BYTES);
    }

    void set(long region, State state, int sumsCrc) {
      int at = offsetOf(region);
      bytes.putInt(at, state.code).putInt(at + Integer.BYTES, sumsCrc).putInt(at + 8, 0);
      bytes.putInt(at + ENTRY_CRC_OFFSET, crcOf(region));
      from = Math.min(from, at / ENTRY_BYTES);
      to = Math.max(to, at / ENTRY_BYTES + 1);
    }

    /** What was set, in one piece. */
    void write() throws IOException {
      if (from < to) {
        ByteBuffer changed = bytes.duplicate().limit(to * ENTRY_BYTES).position(from * ENTRY_BYTES);
        file.write(positionOf(firstRegion >>> GROUP_SHIFT) + changed.position(), changed);
      }
    }

    private int offsetOf(long region) {
      return (int) (region - firstRegion) * ENTRY_BYTES;
    }

    private int crcOf(long region) {
      ByteBuffer place = ByteBuffer.allocate(16 + Long.BYTES);
      Formats.putId(place, Optional.of(layer));
      CRC32C crc = new CRC32C();
      crc.update(place.putLong(region).flip());
      int at = offsetOf(region);
      crc.update(bytes.duplicate().limit(at + ENTRY_CRC_OFFSET).position(at));
      return (int) crc.getValue();
    }
  }

  Entries entries(long group) throws IOException {
    return new Entries(group);
  }

  /**
   * The region must be in flux on disk.
   *
   * @param sums from its start
   * @return their CRC, for the entry
   */
  int writeSums(long region, ByteBuffer sums) throws IOException {
    int crc = Formats.crc(sums, 0, SUMS_BYTES);
    file.write(sumsPosition(region), sums.clear());
    return crc;
  }

  /** Of the block, without a look at its region's entry; {@link #NO_SUM} if there is none. */
  int sum(long block) throws IOException {
    ByteBuffer sum = ByteBuffer.allocate(Integer.BYTES);
    long within = block & (BlockMap.PAGE_BLOCKS - 1);
    file.read(sumsPosition(block >>> BlockMap.PAGE_SHIFT) + within * Integer.BYTES, sum);
    return sum.getInt(0);
  }

  /** All of the region's, or null when they are not those that its entry is about. */
  @Nullable ByteBuffer sums(long region) throws IOException {
    ByteBuffer sums = ByteBuffer.allocate(SUMS_BYTES);
    try {
      file.read(sumsPosition(region), sums);
    } catch (EOFException e) {
      return null;
    }
    Entries entries = entries(region >>> GROUP_SHIFT);
    State state = entries.state(region);
    boolean whole =
        (state == State.QUIET || state == State.IN_FLUX)
            && entries.sumsCrc(region) == Formats.crc(sums.clear(), 0, SUMS_BYTES);
    return whole ? sums : null;
  }

  void sync() throws IOException {
    file.sync();
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
