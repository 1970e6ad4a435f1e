package io.malleable.volume.rbd;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

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
import java.util.Optional;
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
  private static final ValueLayout.OfInt LENGTH =
      JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final RbdCluster cluster;
  private final CephLibraries ceph;

  PoolRecords(RbdCluster cluster) {
    this.cluster = cluster;
    this.ceph = cluster.ceph();
  }

  private record Image(UUID volume, String id) {}

  /**
   * A request; once it is under way librados writes to the last three until it has ended.
   *
   * @param answer room for the longest that is understood; librados keeps to it
   * @param answerBytes how much of it is used
   * @param result 0 or a negative errno, of the method
   */
  private record Request(
      UUID volume,
      MemorySegment operation,
      MemorySegment completion,
      MemorySegment answer,
      MemorySegment answerBytes,
      MemorySegment result) {}

  /**
   * What the images that can be volumes say in {@code m2.volume}, without those that have none;
   * empty for one that says more than a record can be.
   */
  Map<UUID, Optional<String>> read() throws IOException {
    List<Image> images = new ArrayList<>();
    for (RbdCluster.Named image : cluster.images()) {
      RbdImages.id(image.name()).ifPresent(volume -> images.add(new Image(volume, image.id())));
    }
    Map<UUID, Optional<String>> records = new LinkedHashMap<>();
    for (int from = 0; from < images.size(); from += AT_ONCE) {
      read(images.subList(from, Math.min(images.size(), from + AT_ONCE)), records);
    }
    return records;
  }

  private void read(List<Image> images, Map<UUID, Optional<String>> records) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      byte[] key = RbdImages.RECORD.getBytes(StandardCharsets.US_ASCII);
      MemorySegment argument = arena.allocate(LENGTH.byteSize() + key.length);
      argument.set(LENGTH, 0, key.length);
      argument.asSlice(LENGTH.byteSize()).copyFrom(MemorySegment.ofArray(key));
      List<Request> requests = new ArrayList<>(images.size());
      try {
        for (Image image : images) {
          requests.add(begin(arena, image, argument));
        }
      } finally {
        // All of them, whatever happened, before any is looked at: the memory that they write to
        // ends with this call.
        for (Request request : requests) {
          RbdCluster.run(() -> {
            int _ = (int) ceph.radosAioWaitForComplete.invokeExact(request.completion());
          });
        }
      }
      try {
        for (Request request : requests) {
          take(request, records);
        }
      } finally {
        for (Request request : requests) {
          release(request);
        }
      }
    }
  }

  private Request begin(Arena arena, Image image, MemorySegment argument) throws IOException {
    MemorySegment object = arena.allocateFrom("rbd_header." + image.id());
    Request request = prepare(arena, image.volume(), argument);
    boolean begun = false;
    try {
      RbdCluster.check(
          "rados_aio_read_op_operate",
          () ->
              (int)
                  ceph.radosAioReadOpOperate.invokeExact(
                      request.operation(), cluster.ioctx(), request.completion(), object, 0));
      begun = true;
    } finally {
      if (!begun) {
        release(request);
      }
    }
    return request;
  }

  private Request prepare(Arena arena, UUID volume, MemorySegment argument) throws IOException {
    MemorySegment objectClass = arena.allocateFrom("rbd");
    MemorySegment method = arena.allocateFrom("metadata_get");
    MemorySegment answer = arena.allocate(LENGTH.byteSize() + RbdImage.MAX_METADATA_BYTES);
    MemorySegment answerBytes = arena.allocate(JAVA_LONG);
    MemorySegment result = arena.allocate(JAVA_INT);
    MemorySegment out = arena.allocate(ADDRESS);
    RbdCluster.check(
        "rados_aio_create_completion2",
        () ->
            (int)
                ceph.radosAioCreateCompletion2.invokeExact(
                    MemorySegment.NULL, MemorySegment.NULL, out));
    MemorySegment completion = out.get(ADDRESS, 0);
    RbdCluster.run(() -> {
      MemorySegment operation = (MemorySegment) ceph.radosCreateReadOp.invokeExact();
      out.set(ADDRESS, 0, operation);
      // Not rados_aio_exec: that writes the whole answer, however long, over what follows.
      ceph.radosReadOpExecUserBuf.invokeExact(
          operation,
          objectClass,
          method,
          argument,
          argument.byteSize(),
          answer,
          answer.byteSize(),
          answerBytes,
          result);
    });
    return new Request(volume, out.get(ADDRESS, 0), completion, answer, answerBytes, result);
  }

  private void take(Request request, Map<UUID, Optional<String>> records) throws IOException {
    try {
      RbdCluster.check(
          "metadata_get of image " + request.volume(),
          () -> (int) ceph.radosAioGetReturnValue.invokeExact(request.completion()));
      RbdCluster.check(
          "metadata_get of image " + request.volume(), () -> request.result().get(JAVA_INT, 0));
      records.put(
          request.volume(), text(request.answer(), request.answerBytes().get(JAVA_LONG, 0)));
    } catch (CephException e) {
      switch (e.errno()) {
        case CephException.ENOENT -> {} // no volume yet, or it has just gone
        case CephException.ERANGE -> records.put(request.volume(), Optional.empty());
        default -> throw e;
      }
    }
  }

  private static Optional<String> text(MemorySegment answer, long answerBytes) {
    long headBytes = LENGTH.byteSize();
    if (answerBytes < headBytes || answerBytes > answer.byteSize()) {
      return Optional.empty();
    }
    int bytes = answer.get(LENGTH, 0);
    if (bytes < 0 || bytes > answerBytes - headBytes) {
      return Optional.empty();
    }
    byte[] text = answer.asSlice(headBytes, bytes).toArray(JAVA_BYTE);
    return Optional.of(new String(text, StandardCharsets.UTF_8));
  }

  private void release(Request request) {
    RbdCluster.run(() -> {
      ceph.radosReleaseReadOp.invokeExact(request.operation());
      ceph.radosAioRelease.invokeExact(request.completion());
    });
  }
}
