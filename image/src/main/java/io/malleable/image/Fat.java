package io.malleable.image;

import io.malleable.image.RunInputStream.Run;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** Reads FAT12, FAT16 and FAT32 with long names. Names are compared without regard to case. */
final class Fat implements FileSystem {
  private static final int ENTRY_BYTES = 32;
  private static final int ATTRIBUTE_VOLUME = 0x08;
  private static final int ATTRIBUTE_DIRECTORY = 0x10;
  private static final int ATTRIBUTE_LONG_NAME = 0x0f;
  private static final int DELETED = 0xe5;
  private static final int LAST_LONG_PART = 0x40;
  private static final int[] LONG_NAME_PLACES = {1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30};
  private static final int MAX_LONG_NAME_PARTS = 20;
  private static final int MAX_DIRECTORY_BYTES = 2 << 20;
  private static final int MAX_DEPTH = 32;
  private static final int MAX_RUNS = 100_000;
  private static final int MAX_FAT12_CLUSTERS = 4085;
  private static final int MAX_FAT16_CLUSTERS = 65525;
  private static final int MAX_FAT32_CLUSTERS = 0x0ffffff5;

  /** Stands for the root directory, which in FAT12 and FAT16 lies in no cluster. */
  private static final long ROOT = 0;

  private final Drive drive;
  private final int clusterBytes;
  private final long fatOffset;
  private final long rootOffset;
  private final long rootBytes;
  private final long rootCluster;
  private final long dataOffset;

  /** As the boot sector says, and how many of them lie on the drive. */
  private final long clusters;

  private final long clustersOnDrive;
  private final int bits;
  private final String uuid;
  private final String label;

  private Fat(Drive drive, ByteBuffer boot) throws DamagedException {
    this.drive = drive;
    int sectorBytes = boot.getShort(11) & 0xffff;
    int sectorsPerCluster = boot.get(13) & 0xff;
    int fats = boot.get(16) & 0xff;
    if (Integer.bitCount(sectorBytes) != 1
        || sectorBytes < 512
        || sectorBytes > 4096
        || Integer.bitCount(sectorsPerCluster) != 1
        || fats < 1
        || fats > 4) {
      throw new DamagedException("its boot sector makes no sense");
    }
    this.clusterBytes = sectorBytes * sectorsPerCluster;
    long reserved = boot.getShort(14) & 0xffff;
    long fatSectors = boot.getShort(22) & 0xffff;
    boolean isLarge = fatSectors == 0;
    if (isLarge) {
      fatSectors = boot.getInt(36) & 0xffffffffL;
    }
    long sectors = boot.getShort(19) & 0xffff;
    if (sectors == 0) {
      sectors = boot.getInt(32) & 0xffffffffL;
    }
    this.fatOffset = reserved * sectorBytes;
    this.rootOffset = fatOffset + fats * fatSectors * sectorBytes;
    this.rootBytes = (long) (boot.getShort(17) & 0xffff) * ENTRY_BYTES;
    this.dataOffset = rootOffset + (rootBytes + sectorBytes - 1) / sectorBytes * sectorBytes;
    this.clusters =
        Math.min((sectors * sectorBytes - dataOffset) / clusterBytes, MAX_FAT32_CLUSTERS);
    if (clusters < 1 || dataOffset > drive.sizeBytes()) {
      throw new DamagedException("it has no room for files");
    }
    this.clustersOnDrive = Math.min(clusters, (drive.sizeBytes() - dataOffset) / clusterBytes);
    this.bits =
        isLarge ? 32 : clusters < MAX_FAT12_CLUSTERS ? 12 : clusters < MAX_FAT16_CLUSTERS ? 16 : 32;
    this.rootCluster = isLarge ? boot.getInt(44) & 0x0fffffffL : 0;
    int extended = isLarge ? 64 : 36;
    int serial = boot.getInt(extended + 3);
    this.uuid = "%04X-%04X".formatted(serial >>> 16, serial & 0xffff);
    byte[] name = new byte[11];
    boot.get(extended + 7, name);
    this.label = new String(name, StandardCharsets.ISO_8859_1).strip();
  }

  /** Whether a boot sector may be one of FAT. */
  static boolean looksLike(ByteBuffer boot) {
    if ((boot.getShort(510) & 0xffff) != 0xaa55) {
      return false;
    }
    byte[] text = new byte[boot.limit()];
    boot.get(0, text);
    String at54 = new String(text, 54, 3, StandardCharsets.ISO_8859_1);
    String at82 = new String(text, 82, 3, StandardCharsets.ISO_8859_1);
    return at54.equals("FAT") || at82.equals("FAT");
  }

  /**
   * Opens a file system.
   *
   * @throws DamagedException when it makes no sense
   */
  static Fat open(Drive drive) throws IOException {
    return new Fat(drive, drive.read(0, 512));
  }

  @Override
  public String type() {
    return "vfat";
  }

  @Override
  public String uuid() {
    return uuid;
  }

  @Override
  public String label() {
    return label;
  }

  @Override
  public Optional<Entry> find(String path) throws IOException {
    Entry at = new Entry(Type.DIRECTORY, 0, ROOT);
    int depth = 0;
    for (String name : path.split("/", -1)) {
      if (name.isEmpty()) {
        continue;
      }
      if (!at.isDirectory() || ++depth > MAX_DEPTH) {
        return Optional.empty();
      }
      Entry next = directory(at).get(key(name));
      if (next == null) {
        return Optional.empty();
      }
      at = next;
    }
    return Optional.of(at);
  }

  /** In lower case. */
  @Override
  public List<String> list(String path) throws IOException {
    Optional<Entry> entry = find(path);
    return entry.isPresent() && entry.get().isDirectory()
        ? List.copyOf(directory(entry.get()).keySet())
        : List.of();
  }

  @Override
  public InputStream open(Entry entry) throws IOException {
    return stream(entry.id(), entry.sizeBytes());
  }

  private static String key(String name) {
    return name.toLowerCase(Locale.ROOT);
  }

  private InputStream stream(long firstCluster, long sizeBytes) throws IOException {
    List<Run> runs = new ArrayList<>();
    long at = 0;
    long cluster = firstCluster;
    while (at < sizeBytes && cluster >= 2 && cluster < clusters + 2) {
      if (cluster >= clustersOnDrive + 2) {
        throw new DamagedException("a file lies behind the end of the drive");
      }
      if (at / clusterBytes >= clustersOnDrive) {
        throw new DamagedException("the clusters of a file go round in a circle");
      }
      if (runs.size() > MAX_RUNS) {
        throw new UnreadableException("a file lies in more than " + MAX_RUNS + " pieces");
      }
      long offset = dataOffset + (cluster - 2) * clusterBytes;
      Run last = runs.isEmpty() ? null : runs.getLast();
      if (last != null && last.driveOffsetBytes() + last.lengthBytes() == offset) {
        runs.set(
            runs.size() - 1,
            new Run(
                last.fileOffsetBytes(),
                last.driveOffsetBytes(),
                last.lengthBytes() + clusterBytes));
      } else {
        runs.add(new Run(at, offset, clusterBytes));
      }
      at += clusterBytes;
      cluster = next(cluster);
    }
    return new RunInputStream(drive, runs, Math.min(sizeBytes, at));
  }

  private long next(long cluster) throws IOException {
    return switch (bits) {
      case 12 -> {
        int pair = drive.read(fatOffset + cluster * 3 / 2, 2).getShort(0) & 0xffff;
        yield cluster % 2 == 0 ? pair & 0xfff : pair >>> 4;
      }
      case 16 -> drive.read(fatOffset + cluster * 2, 2).getShort(0) & 0xffff;
      default -> drive.read(fatOffset + cluster * 4, 4).getInt(0) & 0x0fffffffL;
    };
  }

  private Map<String, Entry> directory(Entry entry) throws IOException {
    byte[] bytes;
    if (entry.id() == ROOT && rootCluster == 0) {
      bytes = new byte[(int) rootBytes];
      drive.read(rootOffset, bytes.length).get(bytes);
    } else {
      long first = entry.id() == ROOT ? rootCluster : entry.id();
      try (InputStream in = stream(first, MAX_DIRECTORY_BYTES)) {
        bytes = in.readAllBytes();
      }
    }
    return entries(ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN));
  }

  private static Map<String, Entry> entries(ByteBuffer bytes) {
    Map<String, Entry> found = new TreeMap<>();
    StringBuilder longName = new StringBuilder();
    for (int at = 0; at <= bytes.limit() - ENTRY_BYTES; at += ENTRY_BYTES) {
      int first = bytes.get(at) & 0xff;
      int attributes = bytes.get(at + 11) & 0xff;
      if (first == 0) {
        break;
      }
      if (first == DELETED) {
        longName.setLength(0);
      } else if (attributes == ATTRIBUTE_LONG_NAME) {
        if ((first & LAST_LONG_PART) != 0 || longName.length() > 13 * MAX_LONG_NAME_PARTS) {
          longName.setLength(0);
        }
        longName.insert(0, longNamePart(bytes, at));
      } else if ((attributes & ATTRIBUTE_VOLUME) == 0) {
        String name = longName.isEmpty() ? shortName(bytes, at) : longName.toString();
        longName.setLength(0);
        long cluster =
            (bytes.getShort(at + 20) & 0xffffL) << 16 | (bytes.getShort(at + 26) & 0xffffL);
        if (!name.equals(".") && !name.equals("..")) {
          boolean isDirectory = (attributes & ATTRIBUTE_DIRECTORY) != 0;
          found.put(
              key(name),
              new Entry(
                  isDirectory ? Type.DIRECTORY : Type.FILE,
                  bytes.getInt(at + 28) & 0xffffffffL,
                  cluster));
        }
      } else {
        longName.setLength(0);
      }
    }
    return found;
  }

  private static String longNamePart(ByteBuffer bytes, int at) {
    StringBuilder part = new StringBuilder();
    for (int place : LONG_NAME_PLACES) {
      char c = (char) bytes.getShort(at + place);
      if (c == 0) {
        break;
      }
      part.append(c);
    }
    return part.toString();
  }

  private static String shortName(ByteBuffer bytes, int at) {
    byte[] name = new byte[11];
    bytes.get(at, name);
    String base = new String(name, 0, 8, StandardCharsets.ISO_8859_1).strip();
    String extension = new String(name, 8, 3, StandardCharsets.ISO_8859_1).strip();
    return extension.isEmpty() ? base : base + "." + extension;
  }
}
