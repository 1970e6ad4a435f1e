package io.malleable.volume.local;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.NoSuchFileException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Files in memory that know which bytes a power cut would leave. What was not synced survives or
 * not, sector by sector, in any order; directory entries that were not synced survive in the order
 * in which they were made. One call can be made to fail, or to be the last before the power goes,
 * or before the process dies: then everything that was handed over is there, and still not durable.
 * Not thread-safe.
 */
final class FaultyFiles implements StoreFiles {
  private static final int SECTOR_BYTES = 512;
  private static final int PAGE_BYTES = 4096;

  /** What happens at the chosen call. */
  enum Fault {
    POWER_CUT,
    /** The process dies, and its host lives on: what the kernel has stays. */
    PROCESS_DEATH,
    NO_SPACE,
    OVER_QUOTA,
    IO_ERROR
  }

  private final Map<String, Directory> directories = new HashMap<>();
  private long calls;
  private long faultAt = Long.MAX_VALUE;
  private Fault fault = Fault.POWER_CUT;
  private boolean dead;
  private long availableBytes = 1L << 40;
  private String faultedCall = "";
  private @Nullable String faultAtNext;
  private final List<String> open = new ArrayList<>();
  private UUID boot = new UUID(1, 1);

  private static final class Inode {
    final Bytes cached = new Bytes();
    final Bytes durable = new Bytes();
    final List<Piece> pending = new ArrayList<>();

    void makeDurable(Piece piece) {
      durable.put(piece.position, piece.bytes);
    }
  }

  /** Unsynced bytes within one sector. */
  private static final class Piece {
    final int position;
    final byte[] bytes;

    Piece(int position, byte[] bytes) {
      this.position = position;
      this.bytes = bytes;
    }
  }

  private static final class Directory {
    final Map<String, Inode> entries = new HashMap<>();
    final Map<String, Inode> durable = new HashMap<>();
    final List<Map<String, @Nullable Inode>> pending = new ArrayList<>();

    void change(Map<String, @Nullable Inode> change) {
      apply(entries, change);
      pending.add(change);
    }

    static void apply(Map<String, Inode> entries, Map<String, @Nullable Inode> change) {
      change.forEach((name, inode) -> {
        if (inode == null) {
          entries.remove(name);
        } else {
          entries.put(name, inode);
        }
      });
    }
  }

  private static final class Bytes {
    byte[] array = new byte[0];
    int length;

    void put(int position, byte[] bytes) {
      length = Math.max(length, position + bytes.length);
      if (length > array.length) {
        array = Arrays.copyOf(array, 2 * length);
      }
      System.arraycopy(bytes, 0, array, position, bytes.length);
    }

    byte[] copy() {
      return Arrays.copyOf(array, length);
    }
  }

  /** The n-th call from now on that can fail will. */
  void faultAt(long call, Fault kind) {
    calls = 0;
    faultAt = call;
    fault = kind;
  }

  /** The next call of this kind and file will fail, as {@link #faultedCall} names it. */
  void faultAtNext(String call, Fault kind) {
    faultAt = Long.MAX_VALUE;
    faultAtNext = call;
    fault = kind;
  }

  long calls() {
    return calls;
  }

  /** Names of the files that were opened and not closed. */
  List<String> openFiles() {
    return List.copyOf(open);
  }

  /** Whether the power went off, or the process died. */
  boolean powerIsOff() {
    return dead;
  }

  /** The process dies now, between two calls. */
  void die() {
    fault = Fault.PROCESS_DEATH;
    dead = true;
  }

  void setAvailableBytes(long bytes) {
    availableBytes = bytes;
  }

  /** Which call the fault came at: its verb, then the file's name if it has one. */
  String faultedCall() {
    return faultedCall;
  }

  /** The same files, each as it would be read now, and all of it durable. */
  FaultyFiles copy() {
    FaultyFiles next = new FaultyFiles();
    Map<Inode, Inode> copies = new HashMap<>();
    directories.forEach((name, directory) -> {
      Directory copy = new Directory();
      directory.entries.forEach((file, inode) -> {
        Inode same = copies.computeIfAbsent(inode, FaultyFiles::synced);
        copy.entries.put(file, same);
        copy.durable.put(file, same);
      });
      next.directories.put(name, copy);
    });
    return next;
  }

  /** What the next process finds when this one has died. */
  FaultyFiles afterProcessDeath() {
    FaultyFiles next = new FaultyFiles();
    next.boot = boot;
    Map<Inode, Inode> copies = new HashMap<>();
    directories.forEach((name, directory) -> {
      Directory copy = new Directory();
      copyEntries(directory.entries, copy.entries, copies);
      copyEntries(directory.durable, copy.durable, copies);
      for (Map<String, @Nullable Inode> change : directory.pending) {
        Map<String, @Nullable Inode> same = new HashMap<>();
        change.forEach((file, inode) ->
            same.put(
                file, inode == null ? null : copies.computeIfAbsent(inode, FaultyFiles::unsynced)));
        copy.pending.add(same);
      }
      next.directories.put(name, copy);
    });
    return next;
  }

  private static void copyEntries(
      Map<String, Inode> from, Map<String, Inode> to, Map<Inode, Inode> copies) {
    from.forEach(
        (file, inode) -> to.put(file, copies.computeIfAbsent(inode, FaultyFiles::unsynced)));
  }

  private static Inode unsynced(Inode inode) {
    Inode same = new Inode();
    same.cached.put(0, inode.cached.copy());
    same.durable.put(0, inode.durable.copy());
    same.pending.addAll(inode.pending);
    return same;
  }

  private static Inode synced(Inode inode) {
    Inode same = new Inode();
    same.durable.put(0, inode.cached.copy());
    same.cached.put(0, inode.cached.copy());
    return same;
  }

  /** The names of all files, with their directories. */
  List<String> names() {
    List<String> names = new ArrayList<>();
    directories.forEach((directory, content) ->
        content.entries.keySet().forEach(name -> names.add(directory + "/" + name)));
    names.sort(null);
    return names;
  }

  byte[] content(String name) throws IOException {
    return inode(name).cached.copy();
  }

  /** Somebody, or the medium, has changed the file behind everybody's back. */
  void damage(String name, byte[] content) throws IOException {
    Inode inode = inode(name);
    inode.cached.length = 0;
    inode.cached.put(0, content);
  }

  private Inode inode(String name) throws IOException {
    Inode inode = parent(name).entries.get(leaf(name));
    if (inode == null) {
      throw new NoSuchFileException(name);
    }
    return inode;
  }

  /** What a machine finds when the power is back. */
  FaultyFiles afterPowerCut(Random random) {
    FaultyFiles next = new FaultyFiles();
    next.boot = new UUID(1, boot.getLeastSignificantBits() + 1);
    double survival = new double[] {0, 0.1, 0.5, 0.9, 1}[random.nextInt(5)];
    Map<Inode, Inode> copies = new HashMap<>();
    directories.forEach((name, directory) -> {
      Map<String, Inode> entries = new HashMap<>(directory.durable);
      int prefix = random.nextInt(directory.pending.size() + 1);
      for (int i = 0; i < prefix; i++) {
        Directory.apply(entries, directory.pending.get(i));
      }
      Directory copy = new Directory();
      entries.forEach((file, inode) -> {
        Inode after = copies.computeIfAbsent(inode, i -> survivor(i, random, survival));
        copy.entries.put(file, after);
        copy.durable.put(file, after);
      });
      next.directories.put(name, copy);
    });
    return next;
  }

  private static Inode survivor(Inode inode, Random random, double survival) {
    Inode after = new Inode();
    after.durable.put(0, inode.durable.copy());
    for (Piece piece : inode.pending) {
      if (random.nextDouble() < survival) {
        after.makeDurable(piece);
      }
    }
    after.cached.put(0, after.durable.copy());
    return after;
  }

  /** The same files, with the machine on and no fault to come. */
  FaultyFiles repaired() {
    faultAt = Long.MAX_VALUE;
    return this;
  }

  private boolean faultNow(String call) throws IOException {
    if (dead) {
      throw error();
    }
    boolean chosen = faultAtNext != null && call.startsWith(faultAtNext);
    if (calls++ != faultAt && !chosen) {
      return false;
    }
    faultAtNext = null;
    faultedCall = call;
    dead = isDeath();
    return true;
  }

  private boolean isDeath() {
    return fault == Fault.POWER_CUT || fault == Fault.PROCESS_DEATH;
  }

  private IOException error() {
    return new IOException(
        switch (fault) {
          case POWER_CUT -> "the power went off";
          case PROCESS_DEATH -> "the process died";
          case NO_SPACE -> "No space left on device";
          case OVER_QUOTA -> "Disk quota exceeded";
          case IO_ERROR -> "Input/output error";
        });
  }

  private void failMaybe(String call) throws IOException {
    if (faultNow(call)) {
      throw error();
    }
  }

  private Directory directory(String name) throws IOException {
    Directory directory = directories.get(StoreLayout.directoryOf(name + "/"));
    if (directory == null) {
      throw new NoSuchFileException(name);
    }
    return directory;
  }

  private Directory parent(String name) throws IOException {
    return directory(StoreLayout.directoryOf(name));
  }

  @Override
  public void createDirectory(String directory) throws IOException {
    failMaybe("createDirectory " + directory);
    directories.computeIfAbsent(directory, name -> new Directory());
  }

  @Override
  public List<String> list(String directory) throws IOException {
    failMaybe("list " + directory);
    return List.copyOf(directory(directory).entries.keySet());
  }

  private static String leaf(String name) {
    return name.substring(name.lastIndexOf('/') + 1);
  }

  @Override
  public boolean exists(String name) throws IOException {
    failMaybe("exists " + name);
    return parent(name).entries.containsKey(leaf(name));
  }

  @Override
  public StoreFile create(String name) throws IOException {
    failMaybe("create " + name);
    Inode inode = new Inode();
    Map<String, @Nullable Inode> change = new HashMap<>();
    change.put(leaf(name), inode);
    parent(name).change(change);
    return new OpenFile(name, inode);
  }

  @Override
  public StoreFile open(String name) throws IOException {
    failMaybe("open " + name);
    return new OpenFile(name, inode(name));
  }

  @Override
  public void rename(String from, String to) throws IOException {
    failMaybe("rename " + from);
    Directory directory = parent(from);
    Inode inode = directory.entries.get(leaf(from));
    if (inode == null) {
      throw new NoSuchFileException(from);
    }
    Map<String, @Nullable Inode> change = new HashMap<>();
    change.put(leaf(from), null);
    change.put(leaf(to), inode);
    directory.change(change);
  }

  @Override
  public void delete(String name) throws IOException {
    failMaybe("delete " + name);
    Map<String, @Nullable Inode> change = new HashMap<>();
    change.put(leaf(name), null);
    parent(name).change(change);
  }

  @Override
  public void syncDirectory(String name) throws IOException {
    failMaybe("syncDirectory " + name);
    Directory directory = directory(name);
    directory.durable.clear();
    directory.durable.putAll(directory.entries);
    directory.pending.clear();
  }

  @Override
  public UUID bootId() {
    return boot;
  }

  @Override
  public long availableBytes() throws IOException {
    failMaybe("availableBytes");
    return availableBytes;
  }

  @Override
  public long totalBytes() throws IOException {
    failMaybe("totalBytes");
    return 1L << 41;
  }

  private final class OpenFile implements StoreFile {
    private final String name;
    private final Inode inode;
    private boolean closed;

    OpenFile(String name, Inode inode) {
      this.name = name;
      this.inode = inode;
      open.add(name);
    }

    @Override
    public void read(long positionBytes, ByteBuffer destination) throws IOException {
      failMaybe("read " + name);
      int position = Math.toIntExact(positionBytes);
      if (position + destination.remaining() > inode.cached.length) {
        throw new EOFException("file ends at " + inode.cached.length);
      }
      destination.put(inode.cached.array, position, destination.remaining());
    }

    @Override
    public void write(long positionBytes, ByteBuffer source) throws IOException {
      boolean failing = faultNow("write " + name);
      byte[] bytes = new byte[source.remaining()];
      source.get(bytes);
      if (failing && fault == Fault.PROCESS_DEATH) {
        // The kernel looks for the signal between two pages of its cache.
        int pages = (int) ((calls * 31 + positionBytes) % (bytes.length / PAGE_BYTES + 2));
        long arrived = (positionBytes & -PAGE_BYTES) + (long) pages * PAGE_BYTES - positionBytes;
        put(
            Math.toIntExact(positionBytes),
            Arrays.copyOf(bytes, Math.clamp(arrived, 0, bytes.length)));
        throw error();
      }
      if (failing && fault != Fault.POWER_CUT) {
        // A short write: some of it arrived, whole sectors if it was made of them.
        boolean sectors = bytes.length % SECTOR_BYTES == 0;
        int arrived = sectors ? bytes.length / 2 & -SECTOR_BYTES : bytes.length / 2;
        put(Math.toIntExact(positionBytes), Arrays.copyOf(bytes, arrived));
        throw error();
      }
      put(Math.toIntExact(positionBytes), bytes);
      if (failing) {
        throw error();
      }
    }

    private void put(int position, byte[] bytes) {
      inode.cached.put(position, bytes);
      int from = 0;
      while (from < bytes.length) {
        int to = Math.min(bytes.length, from + SECTOR_BYTES - (position + from) % SECTOR_BYTES);
        inode.pending.add(new Piece(position + from, Arrays.copyOfRange(bytes, from, to)));
        from = to;
      }
    }

    @Override
    public void sync() throws IOException {
      if (faultNow("sync " + name)) {
        if (!isDeath()) {
          // The pages that could not be written are forgotten, and the next sync succeeds.
          inode.pending.clear();
        }
        throw error();
      }
      inode.pending.forEach(inode::makeDurable);
      inode.pending.clear();
    }

    @Override
    public long sizeBytes() throws IOException {
      failMaybe("sizeBytes " + name);
      return inode.cached.length;
    }

    @Override
    public void punchHole(long positionBytes, long lengthBytes) throws IOException {
      failMaybe("punchHole " + name);
      int position = Math.toIntExact(positionBytes);
      int end = (int) Math.min(inode.cached.length, positionBytes + lengthBytes);
      if (end > position) {
        put(position, new byte[end - position]);
      }
    }

    @Override
    public long allocatedBytes() throws IOException {
      failMaybe("allocatedBytes " + name);
      return inode.cached.length;
    }

    @Override
    public void close() throws IOException {
      if (!closed) {
        closed = true;
        // Also when it fails, as a descriptor does.
        open.remove(name);
      }
      failMaybe("close " + name);
    }
  }
}
