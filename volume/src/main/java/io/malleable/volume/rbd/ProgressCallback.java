package io.malleable.volume.rbd;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * {@code librbd_progress_fn_t}: librbd tells after each object how far it is, and asks whether to
 * go on. The upcall runs on librbd's threads and must not throw: that would end the JVM. So it only
 * reads and writes fields; whoever watches does that on a thread of its own, which the upcall
 * wakes.
 */
final class ProgressCallback implements AutoCloseable {
  private static final ConcurrentHashMap<Long, ProgressCallback> PENDING =
      new ConcurrentHashMap<>();
  private static final AtomicLong NEXT = new AtomicLong(1);

  static final MemorySegment STUB = stub();

  private final long id = NEXT.getAndIncrement();
  private final BooleanSupplier cancelled;
  private final @Nullable Thread watcher;
  private volatile long doneObjects;
  private volatile long totalObjects;

  /**
   * Until it is closed, a call that gets this callback ends when {@code cancelled} says so.
   *
   * @param cancelled reads a field and nothing else
   */
  ProgressCallback(BooleanSupplier cancelled) {
    this(cancelled, null);
  }

  /**
   * The same, watched.
   *
   * @param watcher is unparked after each object
   */
  ProgressCallback(BooleanSupplier cancelled, @Nullable Thread watcher) {
    this.cancelled = cancelled;
    this.watcher = watcher;
    PENDING.put(id, this);
  }

  /** What librbd hands to {@link #STUB}. */
  MemorySegment argument() {
    return MemorySegment.ofAddress(id);
  }

  /** Which part is done, of 1; 0 while librbd has told nothing. */
  double done() {
    long total = totalObjects;
    return total == 0 ? 0 : Math.min(1, (double) doneObjects / total);
  }

  @Override
  public void close() {
    PENDING.remove(id);
  }

  @SuppressWarnings("unused") // called from librbd
  static int onProgress(long done, long total, MemorySegment argument) {
    try {
      ProgressCallback callback = PENDING.get(argument.address());
      return callback == null ? 0 : callback.on(done, total);
    } catch (Throwable e) {
      return -CephException.EIO;
    }
  }

  private int on(long done, long total) {
    doneObjects = done;
    totalObjects = total;
    if (watcher != null) {
      LockSupport.unpark(watcher);
    }
    return cancelled.getAsBoolean() ? -CephException.ECANCELED : 0;
  }

  private static MemorySegment stub() {
    try {
      return Linker.nativeLinker()
          .upcallStub(
              MethodHandles.lookup()
                  .findStatic(
                      ProgressCallback.class,
                      "onProgress",
                      MethodType.methodType(
                          int.class, long.class, long.class, MemorySegment.class)),
              FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, ADDRESS),
              Arena.global());
    } catch (ReflectiveOperationException e) {
      throw new LinkageError("onProgress is not where it was", e);
    }
  }
}
