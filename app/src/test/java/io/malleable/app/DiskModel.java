package io.malleable.app;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Optional;

/**
 * What a disk may hold, sector by sector, after the commands that were sent to it. A sector holds
 * zeroes or a content made for it by one write, with that write's number in it, so that what is
 * read names the write that it comes from. Commands that are open at the same time never touch the
 * same sector. Safe for use by many threads.
 */
final class DiskModel {
  static final int SECTOR_BYTES = 512;

  /** Of a sector of zeroes. */
  static final long ZEROES = 0;

  /** No write made this content. */
  private static final long FOREIGN = -1;

  private static final int IMAGE_RUN = 256;
  private static final long MAGIC = 0x4d32_5345_4354_4f52L;

  /** A stamp is the number of a write and, in these bits, the disk that it went to. */
  private static final int DISK_BITS = 16;

  private final int disk;
  private final State now;
  private long lastWrite;

  /** Content of sectors, or what it is bounded by. */
  static final class State {
    /** The content that was acknowledged last. */
    private final long[] stamps;

    /** The number of the command that left it. */
    private final long[] since;

    /** The number of the last command that was sent to change it. */
    private final long[] sent;

    /** The number of the last of these that leaves zeroes. */
    private final long[] zeroed;

    private State(int sectors) {
      this(new long[sectors], new long[sectors], new long[sectors], new long[sectors]);
    }

    private State(long[] stamps, long[] since, long[] sent, long[] zeroed) {
      this.stamps = stamps;
      this.since = since;
      this.sent = sent;
      this.zeroed = zeroed;
    }

    private State range(int lba, int sectors) {
      int end = lba + sectors;
      return new State(
          Arrays.copyOfRange(stamps, lba, end),
          Arrays.copyOfRange(since, lba, end),
          Arrays.copyOfRange(sent, lba, end),
          Arrays.copyOfRange(zeroed, lba, end));
    }
  }

  /** A command that changes sectors. The stamp is what they hold when it is done. */
  record Change(int lba, int sectors, long number, long stamp) {
    /** The data of a write. */
    byte[] content() {
      ByteBuffer data = ByteBuffer.allocate(sectors * SECTOR_BYTES);
      for (int i = 0; i < sectors; i++) {
        DiskModel.fill(data, lba + i, stamp);
      }
      return data.array();
    }
  }

  /**
   * A disk that holds zeroes.
   *
   * @param disk a number of its own among all disks and images of a test, below 65,536
   */
  DiskModel(int disk, int sectors) {
    this.disk = disk;
    this.now = new State(sectors);
  }

  /** Content for an image: a quarter of it is written, the rest are zeroes. */
  static byte[] image(int disk, int sectors) {
    DiskModel model = new DiskModel(disk, sectors);
    for (int lba = 0; lba < sectors; lba += 4 * IMAGE_RUN) {
      model.acknowledge(model.write(lba, Math.min(IMAGE_RUN, sectors - lba)));
    }
    return model.certain(0, sectors).orElseThrow();
  }

  /** A disk of which the content is known. */
  static DiskModel of(int disk, byte[] content) {
    DiskModel model = new DiskModel(disk, content.length / SECTOR_BYTES);
    model.settle(content);
    return model;
  }

  int sectors() {
    return now.stamps.length;
  }

  /** A write of all of these sectors is about to be sent. */
  synchronized Change write(int lba, int sectors) {
    return send(lba, sectors, ++lastWrite << DISK_BITS | disk);
  }

  /** The same for a command after which they are zeroes. */
  synchronized Change zero(int lba, int sectors) {
    lastWrite++;
    return send(lba, sectors, ZEROES);
  }

  private Change send(int lba, int sectors, long stamp) {
    for (int sector = lba; sector < lba + sectors; sector++) {
      now.sent[sector] = lastWrite;
      if (stamp == ZEROES) {
        now.zeroed[sector] = lastWrite;
      }
    }
    return new Change(lba, sectors, lastWrite, stamp);
  }

  /** The target has said that it is done: nobody may find the old content again. */
  synchronized void acknowledge(Change change) {
    for (int sector = change.lba; sector < change.lba + change.sectors; sector++) {
      now.stamps[sector] = change.stamp;
      now.since[sector] = change.number;
    }
  }

  /** A copy, as a bound for what is read later or for a copy of the disk. */
  synchronized State state() {
    return now.range(0, sectors());
  }

  synchronized State state(int lba, int sectors) {
    return now.range(lba, sectors);
  }

  /** The acknowledged content, for a comparison; empty if a command left it open. */
  synchronized Optional<byte[]> certain(int lba, int sectors) {
    ByteBuffer content = ByteBuffer.allocate(sectors * SECTOR_BYTES);
    for (int sector = lba; sector < lba + sectors; sector++) {
      if (now.sent[sector] != now.since[sector]) {
        return Optional.empty();
      }
      fill(content, sector, now.stamps[sector]);
    }
    return Optional.of(content.array());
  }

  /** All of the disk was read and found right, and no command is open: this is what it holds. */
  synchronized void settle(byte[] content) {
    lastWrite++;
    ByteBuffer data = ByteBuffer.wrap(content);
    for (int sector = 0; sector < sectors(); sector++) {
      long stamp = parse(data, sector);
      if (stamp == FOREIGN) {
        throw new IllegalArgumentException("sector " + sector + " holds what nobody wrote there");
      }
      now.stamps[sector] = stamp;
      now.since[sector] = lastWrite;
      now.sent[sector] = lastWrite;
    }
  }

  /**
   * What is wrong with what was read, or nothing: each sector must hold what the lower bound says
   * or what was sent to it between the two bounds.
   */
  Optional<String> fault(int lba, byte[] content, State lower, State upper) {
    ByteBuffer data = ByteBuffer.wrap(content);
    int wrong = 0;
    String first = "";
    for (int i = 0; i < content.length / SECTOR_BYTES; i++) {
      long found = parse(data, lba + i);
      if (!isPossible(found, i, lower, upper)) {
        wrong++;
        if (first.isEmpty()) {
          first =
              "sector %d holds %s; acknowledged was %s, the last command sent to it is %d"
                  .formatted(lba + i, name(found), name(lower.stamps[i]), upper.sent[i]);
        }
      }
    }
    return wrong == 0 ? Optional.empty() : Optional.of(wrong + " sectors are wrong: " + first);
  }

  private boolean isPossible(long found, int index, State lower, State upper) {
    if (found == lower.stamps[index]) {
      return true;
    }
    if (found == ZEROES) {
      return upper.zeroed[index] > lower.since[index];
    }
    long write = found >>> DISK_BITS;
    return found != FOREIGN
        && (found & ((1 << DISK_BITS) - 1)) == disk
        && write > lower.since[index]
        && write <= upper.sent[index];
  }

  private static String name(long stamp) {
    if (stamp == FOREIGN) {
      return "what nobody wrote there";
    }
    return stamp == ZEROES
        ? "zeroes"
        : "write %d of disk %d".formatted(stamp >>> DISK_BITS, stamp & ((1 << DISK_BITS) - 1));
  }

  /** Appends the content of a sector. */
  private static void fill(ByteBuffer data, int sector, long stamp) {
    if (stamp == ZEROES) {
      data.position(data.position() + SECTOR_BYTES);
      return;
    }
    data.putLong(MAGIC ^ sector).putLong(stamp);
    long word = stamp * 31 + sector;
    for (int i = 2; i < SECTOR_BYTES / Long.BYTES; i++) {
      // Any generator without short cycles; its constants are Knuth's MMIX.
      word = word * 6364136223846793005L + 1442695040888963407L;
      data.putLong(word);
    }
  }

  /** The stamp of the next sector in the buffer. */
  private static long parse(ByteBuffer data, int sector) {
    ByteBuffer found = data.slice(data.position(), SECTOR_BYTES);
    data.position(data.position() + SECTOR_BYTES);
    long stamp = found.getLong(0) == 0 ? ZEROES : found.getLong(Long.BYTES);
    ByteBuffer expected = ByteBuffer.allocate(SECTOR_BYTES);
    fill(expected, sector, stamp);
    return found.mismatch(expected.flip().limit(SECTOR_BYTES)) < 0 ? stamp : FOREIGN;
  }
}
