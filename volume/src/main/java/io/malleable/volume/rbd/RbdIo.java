package io.malleable.volume.rbd;

import static java.lang.foreign.ValueLayout.ADDRESS;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Asynchronous I/O of one open image, offered as calls that wait. Many threads may wait at once,
 * which is how several requests get under way together.
 *
 * <p>Data goes through buffers of this class and never through the caller's: librbd may touch a
 * buffer until the completion arrives, also after the caller has given up waiting.
 */
final class RbdIo implements CompletionPoller.Source, AutoCloseable {
  /** Larger requests are cut into pieces of this size; RBD's own objects have 4 MiB. */
  static final int MAX_PIECE_BYTES = 1 << 20;

  private static final int SMALL_BUFFER_BYTES = 64 << 10;
  private static final int MAX_POOLED_BUFFERS = 64;
  private static final int COMPLETIONS_PER_POLL = 64;

  private final RbdImage image;
  private final CephLibraries ceph;
  private final long timeoutNanos;
  private final int eventFd;
  private final ConcurrentHashMap<Long, Request> pending = new ConcurrentHashMap<>();
  private final AtomicLong nextId = new AtomicLong(1);
  private final BufferPool small = new BufferPool(SMALL_BUFFER_BYTES);
  private final BufferPool large = new BufferPool(MAX_PIECE_BYTES);

  /** Only the poller's thread uses it. */
  private final MemorySegment polled = Arena.ofAuto().allocate(ADDRESS, COMPLETIONS_PER_POLL);

  private boolean closed;

  /** Keeps the buffer reachable until librbd is done with it. */
  private record Request(MemorySegment buffer, CompletableFuture<Long> result) {}

  private interface Submission {
    int invoke(MemorySegment completion) throws Throwable;
  }

  RbdIo(RbdImage image) throws IOException {
    this.image = image;
    this.ceph = image.cluster().ceph();
    this.timeoutNanos = image.cluster().config().callLimit().toNanos();
    this.eventFd = image.cluster().poller().register(this);
    RbdCluster.check(
        "rbd_set_image_notification",
        () ->
            (int)
                ceph.setImageNotification.invokeExact(
                    image.handle(), eventFd, CephLibraries.EVENT_TYPE_EVENTFD));
  }

  void read(long offsetBytes, ByteBuffer destination) throws IOException {
    long offset = offsetBytes;
    while (destination.hasRemaining()) {
      int length = Math.min(destination.remaining(), MAX_PIECE_BYTES);
      long pieceOffset = offset;
      BufferPool pool = poolFor(length);
      MemorySegment buffer = pool.take();
      long read =
          submitAndWait(
              "rbd_aio_read",
              buffer,
              completion ->
                  (int)
                      ceph.aioRead.invokeExact(
                          image.handle(), pieceOffset, (long) length, buffer, completion));
      if (read != length) {
        throw new IOException(
            "RBD read " + read + " of " + length + " bytes at offset " + pieceOffset);
      }
      MemorySegment.copy(buffer, 0, MemorySegment.ofBuffer(destination), 0, length);
      destination.position(destination.position() + length);
      pool.give(buffer);
      offset += length;
    }
  }

  void write(long offsetBytes, ByteBuffer source) throws IOException {
    long offset = offsetBytes;
    while (source.hasRemaining()) {
      int length = Math.min(source.remaining(), MAX_PIECE_BYTES);
      long pieceOffset = offset;
      BufferPool pool = poolFor(length);
      MemorySegment buffer = pool.take();
      MemorySegment.copy(MemorySegment.ofBuffer(source), 0, buffer, 0, length);
      submitAndWait(
          "rbd_aio_write",
          buffer,
          completion ->
              (int)
                  ceph.aioWrite.invokeExact(
                      image.handle(), pieceOffset, (long) length, buffer, completion));
      source.position(source.position() + length);
      pool.give(buffer);
      offset += length;
    }
  }

  /**
   * Zeroes; whole objects are given back. A plain discard would leave data that is smaller than its
   * granularity.
   */
  void writeZeroes(long offsetBytes, long lengthBytes) throws IOException {
    submitAndWait(
        "rbd_aio_write_zeroes",
        MemorySegment.NULL,
        completion ->
            (int)
                ceph.aioWriteZeroes.invokeExact(
                    image.handle(), offsetBytes, lengthBytes, completion, 0, 0));
  }

  void flush() throws IOException {
    submitAndWait(
        "rbd_aio_flush",
        MemorySegment.NULL,
        completion -> (int) ceph.aioFlush.invokeExact(image.handle(), completion));
  }

  private long submitAndWait(String what, MemorySegment buffer, Submission submission)
      throws IOException {
    long id = nextId.getAndIncrement();
    Request request = new Request(buffer, new CompletableFuture<>());
    MemorySegment completion;
    try (Arena call = Arena.ofConfined()) {
      MemorySegment out = call.allocate(ADDRESS);
      RbdCluster.check(
          "rbd_aio_create_completion",
          () ->
              (int)
                  ceph.aioCreateCompletion.invokeExact(
                      MemorySegment.ofAddress(id), MemorySegment.NULL, out));
      completion = out.get(ADDRESS, 0);
    }
    pending.put(id, request);
    try {
      RbdCluster.check(what, () -> submission.invoke(completion));
    } catch (CephException e) {
      pending.remove(id);
      RbdCluster.run(() -> {
        ceph.aioRelease.invokeExact(completion);
      });
      throw e;
    }
    long result = await(what, request);
    if (result < 0) {
      throw new CephException(what, result);
    }
    return result;
  }

  private long await(String what, Request request) throws IOException {
    try {
      return request.result().get(timeoutNanos, TimeUnit.NANOSECONDS);
    } catch (TimeoutException e) {
      throw new IOException(
          what
              + " was not answered by the cluster within "
              + TimeUnit.NANOSECONDS.toSeconds(timeoutNanos)
              + " s",
          e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException(what + " was interrupted while it waited for the cluster", e);
    } catch (ExecutionException e) {
      throw new IOException(what + " failed", e.getCause());
    }
  }

  @Override
  public synchronized void onReadable() {
    while (!closed) {
      int[] count = new int[1];
      RbdCluster.run(() ->
          count[0] =
              (int) ceph.pollIoEvents.invokeExact(image.handle(), polled, COMPLETIONS_PER_POLL));
      for (int i = 0; i < count[0]; i++) {
        finish(polled.getAtIndex(ADDRESS, i));
      }
      if (count[0] < COMPLETIONS_PER_POLL) {
        return;
      }
    }
  }

  private void finish(MemorySegment completion) {
    RbdCluster.run(() -> {
      MemorySegment id = (MemorySegment) ceph.aioGetArg.invokeExact(completion);
      long result = (long) ceph.aioGetReturnValue.invokeExact(completion);
      ceph.aioRelease.invokeExact(completion);
      Request request = pending.remove(id.address());
      if (request != null) {
        request.result().complete(result);
      }
    });
  }

  /** Afterwards the image may be closed: the poller no longer touches it. */
  @Override
  public synchronized void close() throws IOException {
    closed = true;
    image.cluster().poller().unregister(eventFd);
  }

  private BufferPool poolFor(int lengthBytes) {
    return lengthBytes <= SMALL_BUFFER_BYTES ? small : large;
  }

  /**
   * Buffers of one size. One whose request never ended is not given back and goes with the garbage.
   */
  private static final class BufferPool {
    private final int bufferBytes;
    private final ConcurrentLinkedQueue<MemorySegment> free = new ConcurrentLinkedQueue<>();
    private final AtomicInteger pooled = new AtomicInteger();

    BufferPool(int bufferBytes) {
      this.bufferBytes = bufferBytes;
    }

    MemorySegment take() {
      MemorySegment buffer = free.poll();
      if (buffer == null) {
        return Arena.ofAuto().allocate(bufferBytes, 4096);
      }
      pooled.decrementAndGet();
      return buffer;
    }

    void give(MemorySegment buffer) {
      if (pooled.incrementAndGet() <= MAX_POOLED_BUFFERS) {
        free.add(buffer);
      } else {
        pooled.decrementAndGet();
      }
    }
  }
}
