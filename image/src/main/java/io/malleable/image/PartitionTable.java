package io.malleable.image;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.UUID;
import java.util.zip.CRC32;

/**
 * How a drive is divided: GPT (UEFI 2.10, chapter 5) or MBR, in sectors of 512 bytes.
 *
 * @param damages what is wrong with the table, as whole sentences
 */
record PartitionTable(Kind kind, List<Partition> partitions, List<String> damages) {
  private static final int SECTOR_BYTES = 512;
  private static final int SIGNATURE = 510;
  private static final int MBR_DISK_ID = 440;
  private static final int MBR_ENTRIES = 446;
  private static final int MBR_ENTRY_BYTES = 16;
  private static final int GPT_PROTECTIVE = 0xee;
  private static final int MAX_LOGICAL = 60;
  private static final int GPT_HEADER_BYTES = 92;
  private static final int MAX_GPT_ENTRIES = 1024;
  private static final int MAX_GPT_ENTRY_BYTES = 4096;
  private static final int GPT_NAME_BYTES = 72;

  enum Kind {
    GPT,
    MBR,
    NONE
  }

  PartitionTable {
    partitions = List.copyOf(partitions);
    damages = List.copyOf(damages);
  }

  static PartitionTable read(Drive drive) throws IOException {
    ByteBuffer boot = drive.head(SECTOR_BYTES);
    if ((boot.getShort(SIGNATURE) & 0xffff) != 0xaa55) {
      return new PartitionTable(Kind.NONE, List.of(), List.of());
    }
    for (int i = 0; i < 4; i++) {
      int status = boot.get(MBR_ENTRIES + i * MBR_ENTRY_BYTES) & 0xff;
      if (status != 0 && status != 0x80) {
        // A boot sector of a file system on the whole drive.
        return new PartitionTable(Kind.NONE, List.of(), List.of());
      }
    }
    for (int i = 0; i < 4; i++) {
      if ((boot.get(MBR_ENTRIES + i * MBR_ENTRY_BYTES + 4) & 0xff) == GPT_PROTECTIVE) {
        return gpt(drive);
      }
    }
    return mbr(drive, boot);
  }

  private static PartitionTable gpt(Drive drive) throws IOException {
    List<String> damages = new ArrayList<>();
    List<Partition> partitions = new ArrayList<>();
    try {
      ByteBuffer header = drive.read(SECTOR_BYTES, SECTOR_BYTES);
      checkHeader(header);
      long backup = header.getLong(32);
      if (backup < 0 || backup >= drive.sizeBytes() / SECTOR_BYTES) {
        damages.add(
            "The drive is cut off: its partition table was made for %d bytes, it has %d."
                .formatted((backup + 1) * SECTOR_BYTES, drive.sizeBytes()));
      }
      ByteBuffer entries = entries(drive, header);
      int entryBytes = header.getInt(84);
      for (int i = 0; i < header.getInt(80); i++) {
        gptEntry(entries.slice(i * entryBytes, entryBytes).order(entries.order()), i + 1)
            .ifPresent(partitions::add);
      }
    } catch (DamagedException e) {
      damages.add("The GPT partition table is damaged: " + e.getMessage() + ".");
    }
    for (Partition partition : partitions) {
      checkEnd(drive, partition, damages);
    }
    return new PartitionTable(Kind.GPT, partitions, damages);
  }

  private static void checkHeader(ByteBuffer header) throws DamagedException {
    byte[] signature = new byte[8];
    header.get(0, signature);
    if (!new String(signature, StandardCharsets.US_ASCII).equals("EFI PART")) {
      throw new DamagedException("the second sector does not begin with EFI PART");
    }
    int size = header.getInt(12);
    if (size < GPT_HEADER_BYTES || size > SECTOR_BYTES) {
      throw new DamagedException("its header claims " + size + " bytes");
    }
    int stored = header.getInt(16);
    ByteBuffer summed = ByteBuffer.allocate(size).put(header.slice(0, size));
    summed.putInt(16, 0);
    if (crc(summed.flip()) != stored) {
      throw new DamagedException("the checksum of its header is wrong");
    }
  }

  private static ByteBuffer entries(Drive drive, ByteBuffer header) throws IOException {
    long lba = header.getLong(72);
    int count = header.getInt(80);
    int size = header.getInt(84);
    if (count < 0 || count > MAX_GPT_ENTRIES || size < 128 || size > MAX_GPT_ENTRY_BYTES) {
      throw new DamagedException("it claims " + count + " entries of " + size + " bytes");
    }
    if (lba < 2 || lba > drive.sizeBytes() / SECTOR_BYTES) {
      throw new DamagedException("its entries are at sector " + lba);
    }
    ByteBuffer entries = drive.read(lba * SECTOR_BYTES, count * size);
    if (crc(entries.duplicate()) != header.getInt(88)) {
      throw new DamagedException("the checksum of its entries is wrong");
    }
    return entries;
  }

  private static int crc(ByteBuffer bytes) {
    CRC32 crc = new CRC32();
    crc.update(bytes);
    return (int) crc.getValue();
  }

  private static Optional<Partition> gptEntry(ByteBuffer entry, int number)
      throws DamagedException {
    String type = guid(entry, 0);
    if (type.equals("00000000-0000-0000-0000-000000000000")) {
      return Optional.empty();
    }
    long first = entry.getLong(32);
    long last = entry.getLong(40);
    if (first <= 0 || last < first || last > Long.MAX_VALUE / SECTOR_BYTES - 1) {
      throw new DamagedException(
          "partition %d reaches from sector %d to %d".formatted(number, first, last));
    }
    byte[] name = new byte[GPT_NAME_BYTES];
    entry.get(56, name);
    String label = new String(name, StandardCharsets.UTF_16LE);
    int end = label.indexOf('\0');
    return Optional.of(
        new Partition(
            number,
            type,
            first * SECTOR_BYTES,
            (last - first + 1) * SECTOR_BYTES,
            false,
            guid(entry, 16).toLowerCase(Locale.ROOT),
            end < 0 ? label : label.substring(0, end)));
  }

  /** The first three groups are little-endian, the others not (UEFI 2.10 appendix A). */
  static String guid(ByteBuffer bytes, int at) {
    long high =
        (bytes.getInt(at) & 0xffffffffL) << 32
            | (bytes.getShort(at + 4) & 0xffffL) << 16
            | (bytes.getShort(at + 6) & 0xffffL);
    return new UUID(high, Long.reverseBytes(bytes.getLong(at + 8)))
        .toString()
        .toUpperCase(Locale.ROOT);
  }

  private static PartitionTable mbr(Drive drive, ByteBuffer boot) throws IOException {
    List<Partition> partitions = new ArrayList<>();
    List<String> damages = new ArrayList<>();
    String id = "%08x".formatted(boot.getInt(MBR_DISK_ID));
    for (int i = 0; i < 4; i++) {
      int entry = MBR_ENTRIES + i * MBR_ENTRY_BYTES;
      int type = boot.get(entry + 4) & 0xff;
      if (type == 0) {
        continue;
      }
      Partition partition = mbrEntry(boot, entry, 0, i + 1, id);
      if (type == 0x05 || type == 0x0f || type == 0x85) {
        logical(drive, partition, id, partitions, damages);
      } else {
        partitions.add(partition);
      }
    }
    for (Partition partition : partitions) {
      checkEnd(drive, partition, damages);
    }
    return new PartitionTable(partitions.isEmpty() ? Kind.NONE : Kind.MBR, partitions, damages);
  }

  private static Partition mbrEntry(
      ByteBuffer sector, int entry, long baseBytes, int number, String diskId) {
    return new Partition(
        number,
        "%02X".formatted(sector.get(entry + 4) & 0xff),
        baseBytes + (sector.getInt(entry + 8) & 0xffffffffL) * SECTOR_BYTES,
        (sector.getInt(entry + 12) & 0xffffffffL) * SECTOR_BYTES,
        (sector.get(entry) & 0x80) != 0,
        "%s-%02x".formatted(diskId, number),
        "");
  }

  /** The chain of an extended partition: each link names one partition and the next link. */
  private static void logical(
      Drive drive, Partition extended, String id, List<Partition> found, List<String> damages)
      throws IOException {
    long at = extended.startBytes();
    for (int number = 5; number < 5 + MAX_LOGICAL; number++) {
      if (at > drive.sizeBytes() - SECTOR_BYTES) {
        damages.add("The extended partition goes on behind the end of the drive.");
        return;
      }
      ByteBuffer sector = drive.read(at, SECTOR_BYTES);
      if ((sector.getShort(SIGNATURE) & 0xffff) != 0xaa55) {
        damages.add("The extended partition is damaged at byte " + at + ".");
        return;
      }
      if (sector.get(MBR_ENTRIES + 4) != 0) {
        found.add(mbrEntry(sector, MBR_ENTRIES, at, number, id));
      }
      int next = MBR_ENTRIES + MBR_ENTRY_BYTES;
      if (sector.get(next + 4) == 0) {
        return;
      }
      at = extended.startBytes() + (sector.getInt(next + 8) & 0xffffffffL) * SECTOR_BYTES;
    }
    damages.add("The extended partition has more than " + MAX_LOGICAL + " parts.");
  }

  private static void checkEnd(Drive drive, Partition partition, List<String> damages) {
    if (partition.startBytes() > drive.sizeBytes()
        || partition.lengthBytes() > drive.sizeBytes() - partition.startBytes()) {
      damages.add(
          "Partition %d ends behind the end of the drive at %d bytes."
              .formatted(partition.number(), drive.sizeBytes()));
    }
  }
}
