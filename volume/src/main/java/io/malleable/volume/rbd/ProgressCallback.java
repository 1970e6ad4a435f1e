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
import java.util.function.BooleanSupplier;

/**
 * {@code librbd_progress_fn_t}: librbd asks after each object whether to go on. The upcall must not
 * throw: that would end the JVM.
 */
final class ProgressCallback implements AutoCloseable {
  private static final ConcurrentHashMap<Long, BooleanSupplier> PENDING = new ConcurrentHashMap<>();
  private static final AtomicLong NEXT = new AtomicLong(1);

  static final MemorySegment STUB = stub();

  private final long id = NEXT.getAndIncrement();

  /** Until it is closed, a call that gets this callback ends when {@code cancelled} says so. */
  ProgressCallback(BooleanSupplier cancelled) {
    PENDING.put(id, cancelled);
  }

  /** What librbd hands to {@link #STUB}. */
  MemorySegment argument() {
    return MemorySegment.ofAddress(id);
  }

  @Override
  public void close() {
    PENDING.remove(id);
  }

  @SuppressWarnings("unused") // called from librbd
  static int onProgress(long done, long total, MemorySegment argument) {
    try {
      BooleanSupplier cancelled = PENDING.get(argument.address());
      return cancelled != null && cancelled.getAsBoolean() ? -CephException.ECANCELED : 0;
    } catch (Throwable e) {
      return -CephException.EIO;
    }
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
