package io.malleable.volume.rbd;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/**
 * Reads the records of all volumes of the pool without opening their images: to open one takes ten
 * requests and more after one another, this takes one for each, many at once. It calls what librbd
 * itself calls to read an image's metadata, {@code metadata_get} of the object class {@code rbd},
 * on the object {@code rbd_header.<id>}; argument and result are strings with their length in front
 * (32 bits, little endian).
 */
final class PoolRecords {
  private static final int AT_ONCE = 64;
  private static final int MAX_RECORD_BYTES = 1024;
  private static final ValueLayout.OfInt LENGTH =
      JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final RbdCluster cluster;
  private final CephLibraries ceph;

  PoolRecords(RbdCluster cluster) {
    this.cluster = cluster;
    this.ceph = cluster.ceph();
  }

  private record Image(UUID volume, String id) {}

  /** A request that is under way; librados writes to {@code result} until it has ended. */
  private record Request(UUID volume, MemorySegment completion, MemorySegment result) {}

  /** What the images that can be volumes say in {@code m2.volume}; without those that have none. */
  Map<UUID, String> read() throws IOException {
    List<Image> images = new ArrayList<>();
    for (RbdCluster.Named image : cluster.images()) {
      RbdImages.id(image.name()).ifPresent(volume -> images.add(new Image(volume, image.id())));
    }
    Map<UUID, String> records = new LinkedHashMap<>();
    for (int from = 0; from < images.size(); from += AT_ONCE) {
      read(images.subList(from, Math.min(images.size(), from + AT_ONCE)), records);
    }
    return records;
  }

  private void read(List<Image> images, Map<UUID, String> records) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      byte[] key = RbdImages.RECORD.getBytes(StandardCharsets.US_ASCII);
      MemorySegment argument = arena.allocate(LENGTH.byteSize() + key.length);
      argument.set(LENGTH, 0, key.length);
      argument.asSlice(LENGTH.byteSize()).copyFrom(MemorySegment.ofArray(key));
      List<Request> requests = new ArrayList<>();
      List<CephException> failures = new ArrayList<>();
      try {
        for (Image image : images) {
          requests.add(begin(arena, image, argument));
        }
      } finally {
        // All of them, whatever happened: the memory that they write to ends with this call.
        for (Request request : requests) {
          end(request, records, failures);
        }
      }
      if (!failures.isEmpty()) {
        throw failures.getFirst();
      }
    }
  }

  private Request begin(Arena arena, Image image, MemorySegment argument) throws IOException {
    MemorySegment out = arena.allocate(ADDRESS);
    MemorySegment result = arena.allocate(LENGTH.byteSize() + MAX_RECORD_BYTES);
    MemorySegment object = arena.allocateFrom("rbd_header." + image.id());
    MemorySegment objectClass = arena.allocateFrom("rbd");
    MemorySegment method = arena.allocateFrom("metadata_get");
    RbdCluster.check(
        "rados_aio_create_completion2",
        () ->
            (int)
                ceph.radosAioCreateCompletion2.invokeExact(
                    MemorySegment.NULL, MemorySegment.NULL, out));
    MemorySegment completion = out.get(ADDRESS, 0);
    boolean begun = false;
    try {
      RbdCluster.check(
          "rados_aio_exec",
          () ->
              (int)
                  ceph.radosAioExec.invokeExact(
                      cluster.ioctx(),
                      object,
                      completion,
                      objectClass,
                      method,
                      argument,
                      argument.byteSize(),
                      result,
                      result.byteSize()));
      begun = true;
    } finally {
      if (!begun) {
        release(completion);
      }
    }
    return new Request(image.volume(), completion, result);
  }

  private void end(Request request, Map<UUID, String> records, List<CephException> failures) {
    int[] ended = new int[1];
    RbdCluster.run(() -> {
      int _ = (int) ceph.radosAioWaitForComplete.invokeExact(request.completion());
      ended[0] = (int) ceph.radosAioGetReturnValue.invokeExact(request.completion());
    });
    release(request.completion());
    int length = ended[0];
    if (length >= 0) {
      records.put(request.volume(), text(request.result().asSlice(0, length)));
    } else if (length != -CephException.ENOENT) { // no volume yet, or it has just gone
      failures.add(new CephException("metadata_get of image " + request.volume(), length));
    }
  }

  private static String text(MemorySegment result) {
    long headBytes = LENGTH.byteSize();
    if (result.byteSize() < headBytes) {
      return "";
    }
    long bytes = Math.clamp(result.get(LENGTH, 0), 0, result.byteSize() - headBytes);
    return new String(result.asSlice(headBytes, bytes).toArray(JAVA_BYTE), StandardCharsets.UTF_8);
  }

  private void release(MemorySegment completion) {
    RbdCluster.run(() -> {
      ceph.radosAioRelease.invokeExact(completion);
    });
  }
}
