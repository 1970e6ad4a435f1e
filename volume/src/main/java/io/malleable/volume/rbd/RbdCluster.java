package io.malleable.volume.rbd;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.malleable.volume.Capacity;
import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * A connection to one pool, and the calls that name an image without opening it. Thread-safe, as
 * librados is.
 *
 * <p>Every call ends: {@code rados_mon_op_timeout} and {@code rados_osd_op_timeout} turn a silent
 * cluster into {@code ETIMEDOUT}.
 */
final class RbdCluster implements AutoCloseable {
  /** What an image's snapshot is called whose content is the sealed volume. */
  static final String SEALED = "sealed";

  private static final long TRASH_ENTRY_BYTES = 40;

  private final CephLibraries ceph;
  private final Arena arena = Arena.ofShared();
  private final RbdConfig config;
  private final MemorySegment cluster;
  private final MemorySegment ioctx;
  private final CompletionPoller poller;

  RbdCluster(RbdConfig config) throws IOException {
    this.config = config;
    this.ceph = CephLibraries.get();
    if (!Files.isReadable(config.conf())) {
      throw new VolumeException(
          Reason.UNAVAILABLE,
          "store.rbd.conf: " + config.conf() + " cannot be read; name the cluster's ceph.conf");
    }
    MemorySegment clusterOut = arena.allocate(ADDRESS);
    check(
        "rados_create2",
        () ->
            (int)
                ceph.radosCreate2.invokeExact(
                    clusterOut,
                    arena.allocateFrom("ceph"),
                    arena.allocateFrom("client." + config.user()),
                    0L));
    cluster = clusterOut.get(ADDRESS, 0);
    boolean connected = false;
    try {
      configure();
      connect();
      ioctx = openPool();
      connected = true;
    } finally {
      if (!connected) {
        shutdown();
      }
    }
    poller = new CompletionPoller();
  }

  private void configure() throws IOException {
    check(
        "rados_conf_read_file",
        () ->
            (int)
                ceph.radosConfReadFile.invokeExact(
                    cluster, arena.allocateFrom(config.conf().toString())));
    String seconds = Long.toString(config.timeout().toSeconds());
    set("client_mount_timeout", seconds);
    set("rados_mon_op_timeout", seconds);
    set("rados_osd_op_timeout", seconds);
    // The cache would acknowledge writes before the cluster has them even without a flush in
    // between; with it off, an ack is
    // an ack and a guest that trusts its write cache less than it should loses nothing.
    set("rbd_cache", "false");
  }

  private void set(String option, String value) throws IOException {
    check(
        "rados_conf_set(" + option + ")",
        () ->
            (int)
                ceph.radosConfSet.invokeExact(
                    cluster, arena.allocateFrom(option), arena.allocateFrom(value)));
  }

  private void connect() throws IOException {
    try {
      check("rados_connect", () -> (int) ceph.radosConnect.invokeExact(cluster));
    } catch (CephException e) {
      String remedy =
          switch (e.errno()) {
            case CephException.ETIMEDOUT ->
                "no monitor named there answers within "
                    + config.timeout().toSeconds()
                    + " s; check mon_host and the monitors";
            case CephException.ENOENT ->
                "the keyring has no key for client."
                    + config.user()
                    + "; check store.rbd.user and the keyring";
            case CephException.EPERM, CephException.EACCES ->
                "the cluster refuses client."
                    + config.user()
                    + "; check store.rbd.user, its key and its capabilities (profile rbd)";
            default -> "check that file";
          };
      throw new VolumeException(
          Reason.UNAVAILABLE,
          "cannot connect to the Ceph cluster of " + config.conf() + ": " + remedy,
          e);
    }
  }

  private MemorySegment openPool() throws IOException {
    MemorySegment out = arena.allocate(ADDRESS);
    try {
      check(
          "rados_ioctx_create",
          () ->
              (int)
                  ceph.radosIoctxCreate.invokeExact(
                      cluster, arena.allocateFrom(config.pool()), out));
    } catch (CephException e) {
      throw new VolumeException(
          Reason.UNAVAILABLE,
          "store.rbd.pool: cannot open the pool "
              + config.pool()
              + "; create it with 'ceph osd pool create' and 'rbd pool init', or name another",
          e);
    }
    return out.get(ADDRESS, 0);
  }

  CephLibraries ceph() {
    return ceph;
  }

  CompletionPoller poller() {
    return poller;
  }

  long timeoutNanos() {
    return TimeUnit.SECONDS.toNanos(config.timeout().toSeconds());
  }

  String pool() {
    return config.pool();
  }

  void create(String name, long sizeBytes) throws IOException {
    withOptions((call, options) ->
        check(
            "rbd_create4",
            () ->
                (int)
                    ceph.create4.invokeExact(ioctx, call.allocateFrom(name), sizeBytes, options)));
  }

  /** A version 2 clone: its parent's snapshot needs no protection and can be removed under it. */
  void clone(String parent, String snapshot, String name) throws IOException {
    withOptions((call, options) -> {
      option(options, CephLibraries.IMAGE_OPTION_CLONE_FORMAT, 2);
      check(
          "rbd_clone3",
          () ->
              (int)
                  ceph.clone3.invokeExact(
                      ioctx,
                      call.allocateFrom(parent),
                      call.allocateFrom(snapshot),
                      ioctx,
                      call.allocateFrom(name),
                      options));
    });
  }

  private interface OptionsCall {
    void invoke(Arena call, MemorySegment options) throws IOException;
  }

  private void withOptions(OptionsCall body) throws IOException {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment out = call.allocate(ADDRESS);
      run(() -> {
        ceph.imageOptionsCreate.invokeExact(out);
      });
      MemorySegment options = out.get(ADDRESS, 0);
      try {
        option(options, CephLibraries.IMAGE_OPTION_FEATURES, CephLibraries.DEFAULT_FEATURES);
        body.invoke(call, options);
      } finally {
        run(() -> {
          ceph.imageOptionsDestroy.invokeExact(options);
        });
      }
    }
  }

  private void option(MemorySegment options, int name, long value) throws IOException {
    check(
        "rbd_image_options_set_uint64",
        () -> (int) ceph.imageOptionsSetUint64.invokeExact(options, name, value));
  }

  void rename(String from, String to) throws IOException {
    try (Arena call = Arena.ofConfined()) {
      check(
          "rbd_rename",
          () ->
              (int) ceph.rename.invokeExact(ioctx, call.allocateFrom(from), call.allocateFrom(to)));
    }
  }

  /**
   * Takes the name away at once and for good; what is left of the image goes with the purge of the
   * trash.
   */
  void discard(String name) throws IOException {
    try (Arena call = Arena.ofConfined()) {
      check(
          "rbd_trash_move",
          () -> (int) ceph.trashMove.invokeExact(ioctx, call.allocateFrom(name), 0L));
    }
  }

  List<String> names() throws IOException {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment size = call.allocate(JAVA_LONG);
      size.set(JAVA_LONG, 0, 1 << 16);
      while (true) {
        MemorySegment names = call.allocate(size.get(JAVA_LONG, 0));
        int result;
        try {
          result = check("rbd_list", () -> (int) ceph.list.invokeExact(ioctx, names, size));
        } catch (CephException e) {
          if (e.errno() != CephException.ERANGE) {
            throw e;
          }
          continue; // size now holds what is needed
        }
        List<String> list = new ArrayList<>();
        byte[] bytes = names.asSlice(0, result).toArray(JAVA_BYTE);
        int start = 0;
        for (int i = 0; i < bytes.length; i++) {
          if (bytes[i] == 0) {
            if (i > start) {
              list.add(new String(bytes, start, i - start, StandardCharsets.UTF_8));
            }
            start = i + 1;
          }
        }
        return list;
      }
    }
  }

  /** Identifiers of the images in the pool's trash. */
  List<String> trash() throws IOException {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment count = call.allocate(JAVA_LONG);
      count.set(JAVA_LONG, 0, 256);
      while (true) {
        MemorySegment entries = call.allocate(count.get(JAVA_LONG, 0) * TRASH_ENTRY_BYTES, 8);
        try {
          check("rbd_trash_list", () -> (int) ceph.trashList.invokeExact(ioctx, entries, count));
        } catch (CephException e) {
          if (e.errno() != CephException.ERANGE) {
            throw e;
          }
          continue; // count now holds what is needed
        }
        long found = count.get(JAVA_LONG, 0);
        List<String> ids = new ArrayList<>();
        for (long i = 0; i < found; i++) {
          ids.add(
              entries.get(ADDRESS, i * TRASH_ENTRY_BYTES).reinterpret(Long.MAX_VALUE).getString(0));
        }
        run(() -> {
          ceph.trashListCleanup.invokeExact(entries, found);
        });
        return ids;
      }
    }
  }

  /**
   * Removes a trashed image; fails with {@code ENOTEMPTY} or {@code EBUSY} while clones still read
   * from it.
   */
  void removeTrashed(String id) throws IOException {
    try (Arena call = Arena.ofConfined()) {
      check(
          "rbd_trash_remove",
          () -> (int) ceph.trashRemove.invokeExact(ioctx, call.allocateFrom(id), (byte) 1));
    }
  }

  /**
   * Opens the image; a {@code snapshot} makes the handle show that snapshot and read-only.
   *
   * @throws CephException {@code ENOENT} when there is no such image or snapshot
   */
  RbdImage open(String name, String snapshot) throws IOException {
    return openWith(
        "rbd_open_read_only",
        (call, out) -> {
          MemorySegment at = snapshot.isEmpty() ? MemorySegment.NULL : call.allocateFrom(snapshot);
          return (int) ceph.openReadOnly.invokeExact(ioctx, call.allocateFrom(name), out, at);
        });
  }

  RbdImage openWritable(String name) throws IOException {
    return openWith(
        "rbd_open",
        (call, out) ->
            (int) ceph.open.invokeExact(ioctx, call.allocateFrom(name), out, MemorySegment.NULL));
  }

  RbdImage openTrashed(String id) throws IOException {
    return openWith(
        "rbd_open_by_id",
        (call, out) ->
            (int) ceph.openById.invokeExact(ioctx, call.allocateFrom(id), out, MemorySegment.NULL));
  }

  private interface OpenCall {
    int invoke(Arena call, MemorySegment out) throws Throwable;
  }

  private RbdImage openWith(String what, OpenCall open) throws IOException {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment out = call.allocate(ADDRESS);
      check(what, () -> open.invoke(call, out));
      return new RbdImage(this, out.get(ADDRESS, 0));
    }
  }

  Capacity capacity() throws IOException {
    try (Arena call = Arena.ofConfined()) {
      // struct rados_cluster_stat_t: kb, kb_used, kb_avail, num_objects
      MemorySegment whole = call.allocate(JAVA_LONG, 4);
      check("rados_cluster_stat", () -> (int) ceph.radosClusterStat.invokeExact(cluster, whole));
      // struct rados_pool_stat_t begins with num_bytes; it has 13 fields of 8 bytes in Ceph 16
      MemorySegment own = call.allocate(JAVA_LONG, 32);
      check("rados_ioctx_pool_stat", () -> (int) ceph.radosIoctxPoolStat.invokeExact(ioctx, own));
      return new Capacity(
          whole.getAtIndex(JAVA_LONG, 0) * 1024,
          whole.getAtIndex(JAVA_LONG, 2) * 1024,
          own.getAtIndex(JAVA_LONG, 0));
    }
  }

  @Override
  public void close() throws IOException {
    poller.close();
    run(() -> {
      ceph.radosIoctxDestroy.invokeExact(ioctx);
    });
    shutdown();
  }

  private void shutdown() {
    run(() -> {
      ceph.radosShutdown.invokeExact(cluster);
    });
    arena.close();
  }

  interface IntCall {
    int invoke() throws Throwable;
  }

  interface VoidCall {
    void invoke() throws Throwable;
  }

  /** The result of a call when it is not negative. */
  static int check(String what, IntCall call) throws IOException {
    int result;
    try {
      result = call.invoke();
    } catch (Throwable e) {
      throw new AssertionError(what + " cannot throw", e);
    }
    if (result < 0) {
      throw new CephException(what, result);
    }
    return result;
  }

  static void run(VoidCall call) {
    try {
      call.invoke();
    } catch (Throwable e) {
      throw new AssertionError("a call into Ceph's libraries cannot throw", e);
    }
  }
}
