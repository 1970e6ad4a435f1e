package io.malleable.image;

import io.malleable.image.RunInputStream.Run;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.UUID;

/**
 * Reads ext2, ext3 and ext4 (Documentation/filesystems/ext4 of Linux), without their journal: a
 * file system that was not unmounted is read as it lies there.
 */
final class Ext implements FileSystem {
  static final int MAGIC_OFFSET = 1024 + 0x38;
  static final int MAGIC = 0xef53;

  private static final int SUPER_OFFSET = 1024;
  private static final int SUPER_BYTES = 1024;
  private static final int INCOMPAT_RECOVER = 0x4;

  /**
   * Directory types, recovery, extents, 64 bit, MMP, flexible groups, EA inodes, seeds, large
   * directories, encryption, folding.
   */
  private static final int INCOMPAT_KNOWN =
      0x2
          | INCOMPAT_RECOVER
          | 0x40
          | 0x80
          | 0x100
          | 0x200
          | 0x400
          | 0x2000
          | 0x4000
          | 0x10000
          | 0x20000;

  private static final int INCOMPAT_64BIT = 0x80;
  private static final int ROOT_INODE = 2;
  private static final int INODE_BLOCKS = 0x28;
  private static final int INODE_BLOCKS_BYTES = 60;
  private static final int FLAG_EXTENTS = 0x80000;
  private static final int EXTENT_MAGIC = 0xf30a;
  private static final int EXTENT_ENTRY_BYTES = 12;
  private static final int MAX_EXTENT_DEPTH = 5;
  private static final int UNWRITTEN = 32768;
  private static final int MAX_RUNS = 100_000;
  private static final int MAX_NODES = 20_000;
  private static final int MAX_DIRECTORY_BYTES = 16 << 20;
  private static final int MAX_NAMES = 100_000;
  private static final int MAX_LINKS = 16;
  private static final int MAX_STEPS = 256;

  private final Drive drive;
  private final int blockBytes;
  private final long firstDataBlock;
  private final long inodesPerGroup;
  private final long inodes;
  private final int inodeBytes;
  private final int descriptorBytes;
  private final boolean needsRecovery;
  private final String uuid;
  private final String label;

  /** Those seen last, with {@link #MAX_NAMES} names in all. */
  private final LinkedHashMap<Long, Map<String, Long>> directories =
      new LinkedHashMap<>(16, 0.75f, true);

  private int cachedNames;

  /** How many blocks of extents or block numbers the file at hand may still have. */
  private int nodesLeft;

  private record Inode(int mode, long sizeBytes, int flags, ByteBuffer blocks) {
    boolean is(int type) {
      return (mode & 0xf000) == type;
    }

    boolean isDirectory() {
      return is(0x4000);
    }

    boolean isFile() {
      return is(0x8000);
    }

    boolean isLink() {
      return is(0xa000);
    }
  }

  private Ext(Drive drive, ByteBuffer superBlock) throws IOException {
    this.drive = drive;
    int logBlock = superBlock.getInt(0x18);
    if (logBlock < 0 || logBlock > 6) {
      throw new DamagedException("its blocks claim 2^" + (10 + logBlock) + " bytes");
    }
    this.blockBytes = 1024 << logBlock;
    this.inodes = unsignedInt(superBlock, 0);
    this.firstDataBlock = unsignedInt(superBlock, 0x14);
    this.inodesPerGroup = unsignedInt(superBlock, 0x28);
    boolean isOld = superBlock.getInt(0x4c) == 0;
    this.inodeBytes = isOld ? 128 : superBlock.getShort(0x58) & 0xffff;
    if (inodesPerGroup == 0 || inodeBytes < 128 || inodeBytes > blockBytes) {
      throw new DamagedException(
          "it claims %d inodes of %d bytes in a group".formatted(inodesPerGroup, inodeBytes));
    }
    int incompatible = isOld ? 0 : superBlock.getInt(0x60);
    if ((incompatible & ~INCOMPAT_KNOWN) != 0) {
      throw new UnreadableException(
          "it uses features that this program does not know (0x%x)"
              .formatted(incompatible & ~INCOMPAT_KNOWN));
    }
    this.needsRecovery = (incompatible & INCOMPAT_RECOVER) != 0;
    int size = superBlock.getShort(0xfe) & 0xffff;
    this.descriptorBytes = (incompatible & INCOMPAT_64BIT) == 0 ? 32 : Math.max(size, 32);
    this.uuid =
        new UUID(
                Long.reverseBytes(superBlock.getLong(0x68)),
                Long.reverseBytes(superBlock.getLong(0x70)))
            .toString();
    this.label = text(superBlock, 0x78, 16);
  }

  /**
   * Opens a file system whose magic number was seen.
   *
   * @throws DamagedException when it makes no sense
   * @throws UnreadableException when it is of a kind that is not known here
   */
  static Ext open(Drive drive) throws IOException {
    return new Ext(drive, drive.read(SUPER_OFFSET, SUPER_BYTES));
  }

  private static long unsignedInt(ByteBuffer bytes, int at) {
    return bytes.getInt(at) & 0xffffffffL;
  }

  private static String text(ByteBuffer bytes, int at, int length) {
    byte[] name = new byte[length];
    bytes.get(at, name);
    String text = new String(name, StandardCharsets.UTF_8);
    int end = text.indexOf('\0');
    return end < 0 ? text : text.substring(0, end);
  }

  @Override
  public String type() {
    return "ext4";
  }

  @Override
  public String uuid() {
    return uuid.toLowerCase(Locale.ROOT);
  }

  @Override
  public String label() {
    return label;
  }

  /** Whether it was in use when the image was taken: what the journal holds is not seen here. */
  boolean needsRecovery() {
    return needsRecovery;
  }

  @Override
  public Optional<Entry> find(String path) throws IOException {
    Optional<Long> number = resolve(path);
    if (number.isEmpty()) {
      return Optional.empty();
    }
    Inode inode = inode(number.get());
    Type type = inode.isFile() ? Type.FILE : inode.isDirectory() ? Type.DIRECTORY : Type.OTHER;
    return Optional.of(new Entry(type, inode.sizeBytes(), number.get()));
  }

  @Override
  public List<String> list(String path) throws IOException {
    Optional<Long> number = resolve(path);
    if (number.isEmpty() || !inode(number.get()).isDirectory()) {
      return List.of();
    }
    return directory(number.get()).keySet().stream()
        .filter(name -> !name.equals(".") && !name.equals(".."))
        .toList();
  }

  @Override
  public InputStream open(Entry entry) throws IOException {
    Inode inode = inode(entry.id());
    return new RunInputStream(drive, runs(inode), inode.sizeBytes());
  }

  /** Walks a path as the kernel would with this as its root. */
  private Optional<Long> resolve(String path) throws IOException {
    Deque<String> ahead = new ArrayDeque<>(List.of(path.split("/", -1)));
    Deque<Long> parents = new ArrayDeque<>();
    long at = ROOT_INODE;
    int links = 0;
    for (int step = 0; !ahead.isEmpty(); step++) {
      String name = ahead.pop();
      if (name.isEmpty() || name.equals(".")) {
        continue;
      }
      if (name.equals("..")) {
        at = parents.isEmpty() ? ROOT_INODE : parents.pop();
        continue;
      }
      if (step > MAX_STEPS || !inode(at).isDirectory()) {
        return Optional.empty();
      }
      Long next = directory(at).get(name);
      if (next == null) {
        return Optional.empty();
      }
      Inode found = inode(next);
      if (found.isLink()) {
        if (++links > MAX_LINKS) {
          return Optional.empty();
        }
        String target = linkTarget(found);
        if (target.startsWith("/")) {
          at = ROOT_INODE;
          parents.clear();
        }
        String[] parts = target.split("/", -1);
        for (int i = parts.length - 1; i >= 0; i--) {
          ahead.push(parts[i]);
        }
      } else {
        parents.push(at);
        at = next;
      }
    }
    return Optional.of(at);
  }

  private String linkTarget(Inode inode) throws IOException {
    int length = (int) Math.min(inode.sizeBytes(), 4096);
    byte[] target = new byte[length];
    if (length < INODE_BLOCKS_BYTES && (inode.flags() & FLAG_EXTENTS) == 0) {
      inode.blocks().get(0, target);
    } else {
      try (InputStream in = new RunInputStream(drive, runs(inode), length)) {
        target = in.readNBytes(length);
      }
    }
    return new String(target, StandardCharsets.UTF_8);
  }

  private Inode inode(long number) throws IOException {
    if (number < 1 || number > inodes) {
      throw new DamagedException("its directories name inode " + number);
    }
    long group = (number - 1) / inodesPerGroup;
    long index = (number - 1) % inodesPerGroup;
    long descriptor = (firstDataBlock + 1) * blockBytes + group * descriptorBytes;
    ByteBuffer bytes = drive.read(descriptor, descriptorBytes);
    long table = unsignedInt(bytes, 8);
    if (descriptorBytes >= 64) {
      table |= unsignedInt(bytes, 0x28) << 32;
    }
    ByteBuffer inode = drive.read(blockOffset(table) + index * inodeBytes, 128);
    long size = unsignedInt(inode, 4) | unsignedInt(inode, 0x6c) << 32;
    int mode = inode.getShort(0) & 0xffff;
    if (size < 0) {
      throw new DamagedException("its inode " + number + " claims " + size + " bytes");
    }
    return new Inode(
        mode,
        size,
        inode.getInt(0x20),
        inode.slice(INODE_BLOCKS, INODE_BLOCKS_BYTES).order(ByteOrder.LITTLE_ENDIAN));
  }

  private long blockOffset(long block) throws DamagedException {
    if (block < 0 || block >= drive.sizeBytes() / blockBytes) {
      throw new DamagedException("it names block " + block + ", which lies behind its end");
    }
    return block * blockBytes;
  }

  private Map<String, Long> directory(long number) throws IOException {
    Map<String, Long> known = directories.get(number);
    if (known != null) {
      return known;
    }
    Inode inode = inode(number);
    if (inode.sizeBytes() > MAX_DIRECTORY_BYTES) {
      throw new DamagedException("one of its directories has " + inode.sizeBytes() + " bytes");
    }
    Map<String, Long> names = new TreeMap<>();
    try (InputStream in = new RunInputStream(drive, runs(inode), inode.sizeBytes())) {
      byte[] block = new byte[blockBytes];
      while (in.readNBytes(block, 0, blockBytes) == blockBytes) {
        readEntries(ByteBuffer.wrap(block).order(ByteOrder.LITTLE_ENDIAN), names);
      }
    }
    cachedNames += names.size();
    while (cachedNames > MAX_NAMES && !directories.isEmpty()) {
      cachedNames -= directories.pollFirstEntry().getValue().size();
    }
    directories.put(number, names);
    return names;
  }

  /** Hash trees hide in entries without an inode, so a plain walk sees every name. */
  private static void readEntries(ByteBuffer block, Map<String, Long> names)
      throws DamagedException {
    int at = 0;
    while (at <= block.limit() - 8) {
      long inode = unsignedInt(block, at);
      int length = block.getShort(at + 4) & 0xffff;
      int nameBytes = block.get(at + 6) & 0xff;
      if (length == 0xffff) {
        length = 65536;
      }
      if (length < 8 || length % 4 != 0 || nameBytes > length - 8 || at + length > block.limit()) {
        throw new DamagedException("one of its directories has an entry of " + length + " bytes");
      }
      if (inode != 0) {
        byte[] name = new byte[nameBytes];
        block.get(at + 8, name);
        names.put(new String(name, StandardCharsets.UTF_8), inode);
        if (names.size() > MAX_NAMES) {
          throw new DamagedException(
              "one of its directories has more than " + MAX_NAMES + " names");
        }
      }
      at += length;
    }
  }

  private List<Run> runs(Inode inode) throws IOException {
    List<Run> runs = new ArrayList<>();
    nodesLeft = MAX_NODES;
    if ((inode.flags() & FLAG_EXTENTS) != 0) {
      extents(inode.blocks(), MAX_EXTENT_DEPTH, runs);
      return runs;
    }
    long blocks = (inode.sizeBytes() + blockBytes - 1) / blockBytes;
    long[] next = {0};
    for (int i = 0; i < 12 && next[0] < blocks; i++) {
      addBlock(unsignedInt(inode.blocks(), i * 4), next, runs);
    }
    for (int level = 1; level <= 3 && next[0] < blocks; level++) {
      indirect(unsignedInt(inode.blocks(), (11 + level) * 4), level, blocks, next, runs);
    }
    return runs;
  }

  private void extents(ByteBuffer node, int depthLeft, List<Run> runs) throws IOException {
    int entries = node.getShort(2) & 0xffff;
    int depth = node.getShort(6) & 0xffff;
    if ((node.getShort(0) & 0xffff) != EXTENT_MAGIC
        || depth > depthLeft
        || (entries + 1) * EXTENT_ENTRY_BYTES > node.limit()) {
      throw new DamagedException("the extents of a file make no sense");
    }
    for (int i = 1; i <= entries; i++) {
      int at = i * EXTENT_ENTRY_BYTES;
      if (depth > 0) {
        long child = unsignedInt(node, at + 4) | (node.getShort(at + 8) & 0xffffL) << 32;
        extents(node(child), depth - 1, runs);
        continue;
      }
      long logical = unsignedInt(node, at);
      int length = node.getShort(at + 4) & 0xffff;
      long block = unsignedInt(node, at + 8) | (node.getShort(at + 6) & 0xffffL) << 32;
      if (length <= UNWRITTEN) {
        addRun(new Run(logical * blockBytes, blockOffset(block), (long) length * blockBytes), runs);
      }
    }
  }

  private ByteBuffer node(long block) throws IOException {
    if (--nodesLeft < 0) {
      throw new DamagedException("the extents of a file take more than " + MAX_NODES + " blocks");
    }
    return drive.read(blockOffset(block), blockBytes);
  }

  /** Levels of block numbers, as before ext4; {@code next} is the next block of the file. */
  private void indirect(long block, int level, long blocks, long[] next, List<Run> runs)
      throws IOException {
    int perBlock = blockBytes / 4;
    if (block == 0) {
      next[0] += (long) Math.pow(perBlock, level);
      return;
    }
    ByteBuffer numbers = node(block);
    for (int i = 0; i < perBlock && next[0] < blocks; i++) {
      long number = unsignedInt(numbers, i * 4);
      if (level == 1) {
        addBlock(number, next, runs);
      } else {
        indirect(number, level - 1, blocks, next, runs);
      }
    }
  }

  private void addBlock(long block, long[] next, List<Run> runs) throws DamagedException {
    if (block != 0) {
      addRun(new Run(next[0] * blockBytes, blockOffset(block), blockBytes), runs);
    }
    next[0]++;
  }

  private static void addRun(Run run, List<Run> runs) throws DamagedException {
    Run last = runs.isEmpty() ? null : runs.getLast();
    long end = last == null ? 0 : last.fileOffsetBytes() + last.lengthBytes();
    if (run.fileOffsetBytes() < end) {
      throw new DamagedException("the extents of a file overlap");
    }
    if (last != null
        && run.fileOffsetBytes() == end
        && run.driveOffsetBytes() == last.driveOffsetBytes() + last.lengthBytes()) {
      runs.set(
          runs.size() - 1,
          new Run(
              last.fileOffsetBytes(),
              last.driveOffsetBytes(),
              last.lengthBytes() + run.lengthBytes()));
      return;
    }
    if (runs.size() >= MAX_RUNS) {
      throw new DamagedException("a file lies in more than " + MAX_RUNS + " pieces");
    }
    runs.add(run);
  }
}
