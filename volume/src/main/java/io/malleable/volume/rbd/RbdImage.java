package io.malleable.volume.rbd;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/** An open image: its metadata, snapshots and locks. I/O is in {@link RbdIo}. */
final class RbdImage implements AutoCloseable {
  /** Of one value. */
  static final int MAX_METADATA_BYTES = 1024;

  private static final int MAX_OWNERS = 8;
  private static final long SNAP_INFO_BYTES = 24;
  private static final int MAX_SNAPSHOTS = 4096;

  /** {@code rbd_linked_image_spec_t}: pool id, pool name, namespace, image id, name, trash. */
  private static final long LINKED_IMAGE_SPEC_BYTES = 48;

  private static final long LINKED_IMAGE_ID_OFFSET = 24;

  /** {@code rbd_snap_spec_t}: id, type of namespace, name. */
  private static final long SNAP_SPEC_BYTES = 24;

  private static final int MAX_METADATA_KEYS = 256;
  private static final int MAX_METADATA_LIST_BYTES = 64 << 10;

  private final RbdCluster cluster;
  private final CephLibraries ceph;
  private final MemorySegment handle;

  RbdImage(RbdCluster cluster, MemorySegment handle) {
    this.cluster = cluster;
    this.ceph = cluster.ceph();
    this.handle = handle;
  }

  RbdCluster cluster() {
    return cluster;
  }

  MemorySegment handle() {
    return handle;
  }

  long sizeBytes() throws IOException {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment size = call.allocate(JAVA_LONG);
      RbdCluster.check("rbd_get_size", () -> (int) ceph.getSize.invokeExact(handle, size));
      return size.get(JAVA_LONG, 0);
    }
  }

  void resize(long sizeBytes) throws IOException {
    RbdCluster.check("rbd_resize", () -> (int) ceph.resize.invokeExact(handle, sizeBytes));
  }

  /** Copies up what is inherited; ends with {@code ECANCELED} soon after the callback says so. */
  void flatten(ProgressCallback progress) throws IOException {
    RbdCluster.check(
        "rbd_flatten",
        () ->
            (int)
                ceph.flattenWithProgress.invokeExact(
                    handle, ProgressCallback.STUB, progress.argument()));
  }

  /** The internal id of the image that this one reads from, also when that is in the trash. */
  Optional<String> parentId() throws IOException {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment parent = call.allocate(LINKED_IMAGE_SPEC_BYTES, 8);
      MemorySegment snapshot = call.allocate(SNAP_SPEC_BYTES, 8);
      try {
        RbdCluster.check(
            "rbd_get_parent", () -> (int) ceph.getParent.invokeExact(handle, parent, snapshot));
      } catch (CephException e) {
        if (e.errno() == CephException.ENOENT) {
          return Optional.empty();
        }
        throw e;
      }
      String id =
          parent.get(ADDRESS, LINKED_IMAGE_ID_OFFSET).reinterpret(Long.MAX_VALUE).getString(0);
      RbdCluster.run(() -> {
        ceph.linkedImageSpecCleanup.invokeExact(parent);
      });
      RbdCluster.run(() -> {
        ceph.snapSpecCleanup.invokeExact(snapshot);
      });
      return Optional.of(id);
    }
  }

  Optional<String> metadata(String key) throws IOException {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment value = call.allocate(MAX_METADATA_BYTES);
      MemorySegment length = call.allocate(JAVA_LONG);
      length.set(JAVA_LONG, 0, MAX_METADATA_BYTES);
      RbdCluster.check(
          "rbd_metadata_get",
          () -> (int) ceph.metadataGet.invokeExact(handle, call.allocateFrom(key), value, length));
      return Optional.of(value.getString(0));
    } catch (CephException e) {
      if (e.errno() == CephException.ENOENT) {
        return Optional.empty();
      }
      throw e;
    }
  }

  /** Whether there is such metadata, however long. */
  boolean hasMetadata(String key) throws IOException {
    try {
      return metadata(key).isPresent();
    } catch (CephException e) {
      if (e.errno() == CephException.ERANGE) {
        return true;
      }
      throw e;
    }
  }

  void metadata(String key, String value) throws IOException {
    try (Arena call = Arena.ofConfined()) {
      RbdCluster.check(
          "rbd_metadata_set",
          () ->
              (int)
                  ceph.metadataSet.invokeExact(
                      handle, call.allocateFrom(key), call.allocateFrom(value)));
    }
  }

  /** All metadata whose key begins with the prefix. */
  Map<String, String> metadataWith(String prefix) throws IOException {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment keys = call.allocate(MAX_METADATA_LIST_BYTES);
      MemorySegment values = call.allocate(MAX_METADATA_LIST_BYTES);
      MemorySegment keyBytes = call.allocateFrom(JAVA_LONG, MAX_METADATA_LIST_BYTES);
      MemorySegment valueBytes = call.allocateFrom(JAVA_LONG, MAX_METADATA_LIST_BYTES);
      RbdCluster.check(
          "rbd_metadata_list",
          () ->
              (int)
                  ceph.metadataList.invokeExact(
                      handle,
                      call.allocateFrom(prefix),
                      (long) MAX_METADATA_KEYS,
                      keys,
                      keyBytes,
                      values,
                      valueBytes));
      Map<String, String> found = new LinkedHashMap<>();
      long keyAt = 0;
      long valueAt = 0;
      while (keyAt < keyBytes.get(JAVA_LONG, 0)) {
        String key = keys.getString(keyAt);
        String value = values.getString(valueAt);
        keyAt += key.getBytes(StandardCharsets.UTF_8).length + 1;
        valueAt += value.getBytes(StandardCharsets.UTF_8).length + 1;
        if (key.startsWith(prefix)) {
          found.put(key, value);
        }
      }
      return found;
    }
  }

  /** Takes a snapshot of the content at this moment; writes in flight land before or after it. */
  void snapshot(String name) throws IOException {
    try (Arena call = Arena.ofConfined()) {
      RbdCluster.check(
          "rbd_snap_create",
          () -> (int) ceph.snapCreate.invokeExact(handle, call.allocateFrom(name)));
    }
  }

  /** Removes a snapshot; one that clones read from lives on unnamed until they are gone. */
  void removeSnapshot(String name) throws IOException {
    try (Arena call = Arena.ofConfined()) {
      RbdCluster.check(
          "rbd_snap_remove",
          () -> (int) ceph.snapRemove.invokeExact(handle, call.allocateFrom(name)));
    }
  }

  boolean hasSnapshot(String name) throws IOException {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment id = call.allocate(JAVA_LONG);
      RbdCluster.check(
          "rbd_snap_get_id",
          () -> (int) ceph.snapGetId.invokeExact(handle, call.allocateFrom(name), id));
      return true;
    } catch (CephException e) {
      if (e.errno() == CephException.ENOENT) {
        return false;
      }
      throw e;
    }
  }

  /** Names of the snapshots, without those that were removed and live on under their clones. */
  List<String> snapshots() throws IOException {
    try (Arena call = Arena.ofConfined()) {
      // struct rbd_snap_info_t: id, size, name
      MemorySegment infos = call.allocate(SNAP_INFO_BYTES * MAX_SNAPSHOTS, 8);
      MemorySegment max = call.allocate(JAVA_INT);
      max.set(JAVA_INT, 0, MAX_SNAPSHOTS);
      int count =
          RbdCluster.check(
              "rbd_snap_list", () -> (int) ceph.snapList.invokeExact(handle, infos, max));
      List<String> names = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        if (isNamed(infos.get(JAVA_LONG, i * SNAP_INFO_BYTES))) {
          names.add(
              infos
                  .get(ADDRESS, i * SNAP_INFO_BYTES + 16)
                  .reinterpret(Long.MAX_VALUE)
                  .getString(0));
        }
      }
      if (count > 0) {
        RbdCluster.run(() -> {
          ceph.snapListEnd.invokeExact(infos);
        });
      }
      return names;
    }
  }

  private boolean isNamed(long snapshot) throws IOException {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment type = call.allocate(JAVA_INT);
      RbdCluster.check(
          "rbd_snap_get_namespace_type",
          () -> (int) ceph.snapGetNamespaceType.invokeExact(handle, snapshot, type));
      return type.get(JAVA_INT, 0) == CephLibraries.SNAP_NAMESPACE_TYPE_USER;
    }
  }

  /** Whoever holds the exclusive lock, in librbd's own notation. */
  Optional<String> lockOwner() throws IOException {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment mode = call.allocate(JAVA_INT);
      MemorySegment owners = call.allocate(ADDRESS, MAX_OWNERS);
      MemorySegment max = call.allocateFrom(JAVA_LONG, MAX_OWNERS);
      try {
        RbdCluster.check(
            "rbd_lock_get_owners",
            () -> (int) ceph.lockGetOwners.invokeExact(handle, mode, owners, max));
      } catch (CephException e) {
        if (e.errno() == CephException.ENOENT) {
          return Optional.empty();
        }
        throw e;
      }
      long count = max.get(JAVA_LONG, 0);
      Optional<String> owner =
          count == 0
              ? Optional.empty()
              : Optional.of(owners.get(ADDRESS, 0).reinterpret(Long.MAX_VALUE).getString(0));
      RbdCluster.run(() -> {
        ceph.lockGetOwnersCleanup.invokeExact(owners, count);
      });
      return owner;
    }
  }

  void breakLock(String owner) throws IOException {
    try (Arena call = Arena.ofConfined()) {
      RbdCluster.check(
          "rbd_lock_break",
          () ->
              (int)
                  ceph.lockBreak.invokeExact(
                      handle, CephLibraries.LOCK_MODE_EXCLUSIVE, call.allocateFrom(owner)));
    }
  }

  /** Takes the exclusive lock and keeps it: no other client gets it by asking. */
  void lock() throws IOException {
    RbdCluster.check(
        "rbd_lock_acquire",
        () -> (int) ceph.lockAcquire.invokeExact(handle, CephLibraries.LOCK_MODE_EXCLUSIVE));
  }

  /** One allocated run. */
  record Run(long offsetBytes, long lengthBytes) {}

  /** How exactly to say what is allocated. */
  enum Detail {
    /** What was written; every object is asked, so this takes as long as the range is large. */
    WRITTEN,
    /** Whole objects, as the object map has them; it is one small object by itself. */
    OBJECTS
  }

  /**
   * The runs within the range that hold data of this image, or of it and its ancestors. An image
   * owns whole objects: the first write to one copies the rest of it up.
   */
  List<Run> allocated(long offsetBytes, long lengthBytes, boolean ancestors, Detail detail)
      throws IOException {
    List<Run> runs = new ArrayList<>();
    long id = DiffCallback.register(runs);
    try {
      RbdCluster.check(
          "rbd_diff_iterate2",
          () ->
              (int)
                  ceph.diffIterate2.invokeExact(
                      handle,
                      MemorySegment.NULL,
                      offsetBytes,
                      lengthBytes,
                      (byte) (ancestors ? 1 : 0),
                      (byte) (detail == Detail.OBJECTS ? 1 : 0),
                      DiffCallback.STUB,
                      MemorySegment.ofAddress(id)));
    } finally {
      DiffCallback.unregister(id);
    }
    return runs;
  }

  /** Afterwards the handle is gone, also when this fails. */
  @Override
  public void close() throws IOException {
    try {
      RbdCluster.check("rbd_close", () -> (int) ceph.close.invokeExact(handle));
    } finally {
      cluster.onImageClosed();
    }
  }

  /** An upcall, as {@link ProgressCallback} is. It must not throw: that would end the JVM. */
  private static final class DiffCallback {
    private static final ConcurrentHashMap<Long, List<Run>> PENDING = new ConcurrentHashMap<>();
    private static final AtomicLong NEXT = new AtomicLong(1);

    static final MemorySegment STUB = stub();

    static long register(List<Run> runs) {
      long id = NEXT.getAndIncrement();
      PENDING.put(id, runs);
      return id;
    }

    static void unregister(long id) {
      PENDING.remove(id);
    }

    @SuppressWarnings("unused") // called from librbd
    static int onRun(long offsetBytes, long lengthBytes, int exists, MemorySegment argument) {
      try {
        List<Run> runs = PENDING.get(argument.address());
        if (runs != null && exists != 0) {
          runs.add(new Run(offsetBytes, lengthBytes));
        }
        return 0;
      } catch (Throwable e) {
        return -5; // EIO ends the iteration with an error
      }
    }

    private static MemorySegment stub() {
      try {
        return Linker.nativeLinker()
            .upcallStub(
                MethodHandles.lookup()
                    .findStatic(
                        DiffCallback.class,
                        "onRun",
                        MethodType.methodType(
                            int.class, long.class, long.class, int.class, MemorySegment.class)),
                FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT, ADDRESS),
                Arena.global());
      } catch (ReflectiveOperationException e) {
        throw new LinkageError("onRun is not where it was", e);
      }
    }
  }
}
