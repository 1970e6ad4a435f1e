package io.malleable.volume.rbd;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.malleable.volume.Capacity;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;

/**
 * One pool, and the calls that name an image without opening it. Thread-safe, as librados is, until
 * it is closed.
 */
final class RbdCluster implements AutoCloseable {
  /** What an image's snapshot is called whose content is the sealed volume. */
  static final String SEALED = "sealed";

  private static final long TRASH_ENTRY_BYTES = 40;

  /** {@code rbd_image_spec_t}: id, name. */
  private static final long IMAGE_SPEC_BYTES = 16;

  private static final long EXPECTED_IMAGES = 64;

  private final CephLibraries ceph;
  private final RbdConfig config;
  private final CephConnection connection;
  private final MemorySegment ioctx;
  private final CompletionPoller poller;
  private final AtomicInteger openImages = new AtomicInteger();

  /** More than there are asks once; with less, librbd says how many there are. */
  private volatile long expectedImages = EXPECTED_IMAGES;

  RbdCluster(RbdConfig config) throws IOException {
    this.config = config;
    this.ceph = CephLibraries.get();
    this.connection = new CephConnection(config);
    this.ioctx = connection.ioctx();
    this.poller = new CompletionPoller();
  }

  CephLibraries ceph() {
    return ceph;
  }

  /** The {@code rados_ioctx_t} of the pool. */
  MemorySegment ioctx() {
    return ioctx;
  }

  CompletionPoller poller() {
    return poller;
  }

  RbdConfig config() {
    return config;
  }

  /**
   * Removes a trashed image, object by object; ends with {@code ECANCELED} soon after {@code
   * cancelled}, and fails with {@code ENOTEMPTY} or {@code EBUSY} while clones still read from it.
   */
  void removeTrashed(String id, BooleanSupplier cancelled) throws IOException {
    try (Arena call = Arena.ofConfined();
        ProgressCallback progress = new ProgressCallback(cancelled)) {
      check(
          "rbd_trash_remove",
          () ->
              (int)
                  ceph.trashRemoveWithProgress.invokeExact(
                      ioctx,
                      call.allocateFrom(id),
                      (byte) 1,
                      ProgressCallback.STUB,
                      progress.argument()));
    }
  }

  /** See {@link CephConnection#address}. */
  String address() {
    return connection.address();
  }

  Capacity capacity() throws IOException {
    return connection.capacity();
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

  /** An image of the pool: its internal identifier, which its objects are named by. */
  record Named(String id, String name) {}

  List<String> names() throws IOException {
    return images().stream().map(Named::name).toList();
  }

  /** All of them, from the pool's directory. */
  List<Named> images() throws IOException {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment count = call.allocateFrom(JAVA_LONG, expectedImages);
      while (true) {
        MemorySegment specs = call.allocate(count.get(JAVA_LONG, 0) * IMAGE_SPEC_BYTES, 8);
        try {
          check("rbd_list2", () -> (int) ceph.list2.invokeExact(ioctx, specs, count));
        } catch (CephException e) {
          if (e.errno() != CephException.ERANGE) {
            throw e;
          }
          continue; // count now holds what is needed
        }
        long found = count.get(JAVA_LONG, 0);
        expectedImages = found + EXPECTED_IMAGES;
        List<Named> images = new ArrayList<>();
        for (long i = 0; i < found; i++) {
          images.add(
              new Named(
                  text(specs, i * IMAGE_SPEC_BYTES),
                  text(specs, i * IMAGE_SPEC_BYTES + ADDRESS.byteSize())));
        }
        run(() -> {
          ceph.imageSpecListCleanup.invokeExact(specs, found);
        });
        return images;
      }
    }
  }

  private static String text(MemorySegment struct, long offset) {
    return struct.get(ADDRESS, offset).reinterpret(Long.MAX_VALUE).getString(0);
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
          ids.add(text(entries, i * TRASH_ENTRY_BYTES));
        }
        run(() -> {
          ceph.trashListCleanup.invokeExact(entries, found);
        });
        return ids;
      }
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
      openImages.incrementAndGet();
      return new RbdImage(this, out.get(ADDRESS, 0));
    }
  }

  /** A librbd handle was given back. */
  void onImageClosed() {
    openImages.decrementAndGet();
  }

  /**
   * Disconnects. While a call that nobody waits for any more still uses an image, the connection is
   * left to the end of the process: taking it away would end the process at once.
   */
  @Override
  public void close() throws IOException {
    int open = openImages.get();
    if (open > 0) {
      throw new IOException(
          "the connection to the Ceph cluster is left open: "
              + open
              + " images are still in use by calls that the cluster does not answer");
    }
    poller.close();
    connection.close();
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
