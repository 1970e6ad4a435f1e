package io.malleable.app;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** The system's limit on the descriptors of this process: RLIMIT_NOFILE, see getrlimit(2). */
final class FileLimit {
  private static final int RLIMIT_NOFILE = 7;
  private static final long SOFT_OFFSET = 0;
  private static final long HARD_OFFSET = 8;
  private static final MemoryLayout RLIMIT =
      MemoryLayout.structLayout(JAVA_LONG.withName("soft"), JAVA_LONG.withName("hard"));

  private static final MethodHandle GET = function("getrlimit");
  private static final MethodHandle SET = function("setrlimit");

  private FileLimit() {}

  private static MethodHandle function(String name) {
    Linker linker = Linker.nativeLinker();
    return linker.downcallHandle(
        linker.defaultLookup().findOrThrow(name),
        FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS));
  }

  /**
   * Raises the limit as far as this process may, which a Java runtime does by itself unless it is
   * told not to.
   *
   * @return the limit from now on, at most what fits an int
   * @throws IOException the system does not say
   */
  static int raise() throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment limit = arena.allocate(RLIMIT);
      call(GET, limit);
      if (limit.get(JAVA_LONG, SOFT_OFFSET) != limit.get(JAVA_LONG, HARD_OFFSET)) {
        limit.set(JAVA_LONG, SOFT_OFFSET, limit.get(JAVA_LONG, HARD_OFFSET));
        call(SET, limit);
      }
      // Unlimited is the highest number there is.
      long soft = limit.get(JAVA_LONG, SOFT_OFFSET);
      return soft < 0 ? Integer.MAX_VALUE : (int) Math.min(soft, Integer.MAX_VALUE);
    }
  }

  private static void call(MethodHandle function, MemorySegment limit) throws IOException {
    int status;
    try {
      status = (int) function.invokeExact(RLIMIT_NOFILE, limit);
    } catch (Throwable e) {
      throw new IllegalStateException("the call of a system function failed", e);
    }
    if (status != 0) {
      throw new IOException("the system refuses to tell or to raise its limit on open files");
    }
  }
}
