package io.malleable.volume.posix;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;

/**
 * The Linux calls that the JDK has no name for: punching holes, finding them, and counting what a
 * file occupies.
 */
public final class Posix {
  /** {@code lseek} found nothing behind the offset: the rest of the file is a hole. */
  private static final int ENXIO = 6;

  public static final int ENOSPC = 28;

  public static final int EDQUOT = 122;

  private static final int ENOENT = 2;
  private static final int ENFILE = 23;
  private static final int EMFILE = 24;
  private static final int O_RDONLY = 0;
  private static final int O_RDWR = 2;
  private static final int O_CLOEXEC = 0x80000;
  private static final int FALLOC_FL_KEEP_SIZE = 1;
  private static final int FALLOC_FL_PUNCH_HOLE = 2;
  private static final int SEEK_DATA = 3;
  private static final int SEEK_HOLE = 4;
  private static final int AT_FDCWD = -100;
  private static final int AT_EMPTY_PATH = 0x1000;
  private static final int STATX_INO = 0x100;
  private static final int STATX_BLOCKS = 0x400;
  private static final int STATX_SIZE_BYTES = 256;
  private static final int STATX_INO_OFFSET = 32;
  private static final int STATX_BLOCKS_OFFSET = 48;
  private static final int STATX_DEV_MAJOR_OFFSET = 136;
  private static final int STATX_DEV_MINOR_OFFSET = 140;
  private static final int STAT_BLOCK_BYTES = 512;

  private static final MemoryLayout CALL_STATE = Linker.Option.captureStateLayout();
  private static final VarHandle ERRNO =
      CALL_STATE.varHandle(MemoryLayout.PathElement.groupElement("errno"));

  private static final MethodHandle OPEN =
      function(
          "open",
          FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT),
          Linker.Option.firstVariadicArg(2));
  private static final MethodHandle CLOSE =
      function("close", FunctionDescriptor.of(JAVA_INT, JAVA_INT));
  private static final MethodHandle FALLOCATE =
      function(
          "fallocate", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG));
  private static final MethodHandle LSEEK =
      function("lseek", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, JAVA_LONG, JAVA_INT));
  private static final MethodHandle STATX =
      function(
          "statx", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT, ADDRESS));
  private static final MethodHandle STRERROR =
      Linker.nativeLinker()
          .downcallHandle(
              Linker.nativeLinker().defaultLookup().findOrThrow("strerror"),
              FunctionDescriptor.of(ADDRESS, JAVA_INT));

  /** The JDK tells the error by its text only, in the language that the process was started in. */
  private static final Set<String> FULL =
      Set.copyOf(
          List.of("No space left on device", "Disk quota exceeded", text(ENOSPC), text(EDQUOT)));

  private Posix() {}

  private static MethodHandle function(
      String name, FunctionDescriptor descriptor, Linker.Option... options) {
    Linker linker = Linker.nativeLinker();
    Linker.Option[] all = new Linker.Option[options.length + 1];
    all[0] = Linker.Option.captureCallState("errno");
    System.arraycopy(options, 0, all, 1, options.length);
    return linker.downcallHandle(linker.defaultLookup().findOrThrow(name), descriptor, all);
  }

  /** A file descriptor of our own: the JDK does not show those behind its channels. */
  public static final class Descriptor implements AutoCloseable {
    private final Path path;
    private final int number;

    private Descriptor(Path path, int number) {
      this.path = path;
      this.number = number;
    }

    public static Descriptor forReading(Path path) throws IOException {
      return open(path, O_RDONLY);
    }

    public static Descriptor forWriting(Path path) throws IOException {
      return open(path, O_RDWR);
    }

    private static Descriptor open(Path path, int mode) throws IOException {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment state = arena.allocate(CALL_STATE);
        int number =
            (int) OPEN.invokeExact(state, arena.allocateFrom(path.toString()), mode | O_CLOEXEC);
        if (number < 0) {
          throw failure("open", path, state);
        }
        return new Descriptor(path, number);
      } catch (Throwable e) {
        throw rethrow(e);
      }
    }

    public void punchHole(long positionBytes, long lengthBytes) throws IOException {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment state = arena.allocate(CALL_STATE);
        int result =
            (int)
                FALLOCATE.invokeExact(
                    state,
                    number,
                    FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE,
                    positionBytes,
                    lengthBytes);
        if (result < 0) {
          throw failure("punch a hole in", path, state);
        }
      } catch (Throwable e) {
        throw rethrow(e);
      }
    }

    /** The first byte at or after the offset that is not in a hole, or -1. */
    public long nextData(long offsetBytes) throws IOException {
      return seek(offsetBytes, SEEK_DATA);
    }

    /** The first byte at or after the offset that is in a hole; the end of the file counts. */
    public long nextHole(long offsetBytes) throws IOException {
      return seek(offsetBytes, SEEK_HOLE);
    }

    private long seek(long offsetBytes, int whence) throws IOException {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment state = arena.allocate(CALL_STATE);
        long found = (long) LSEEK.invokeExact(state, number, offsetBytes, whence);
        if (found < 0) {
          if ((int) ERRNO.get(state, 0L) == ENXIO) {
            return -1;
          }
          throw failure("find holes in", path, state);
        }
        return found;
      } catch (Throwable e) {
        throw rethrow(e);
      }
    }

    public Identity identity() throws IOException {
      try (Arena arena = Arena.ofConfined()) {
        return Identity.of(statx(arena, number, path, STATX_INO));
      }
    }

    @Override
    public void close() throws IOException {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment state = arena.allocate(CALL_STATE);
        if ((int) CLOSE.invokeExact(state, number) < 0) {
          throw failure("close", path, state);
        }
      } catch (Throwable e) {
        throw rethrow(e);
      }
    }
  }

  public static long allocatedBytes(Path path) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment result = statx(arena, AT_FDCWD, path, STATX_BLOCKS);
      return result.get(ValueLayout.JAVA_LONG, STATX_BLOCKS_OFFSET) * STAT_BLOCK_BYTES;
    }
  }

  /** A file whatever its name, while it exists. */
  public record Identity(int deviceMajor, int deviceMinor, long inode) {
    private static Identity of(MemorySegment statx) {
      return new Identity(
          statx.get(JAVA_INT, STATX_DEV_MAJOR_OFFSET),
          statx.get(JAVA_INT, STATX_DEV_MINOR_OFFSET),
          statx.get(JAVA_LONG, STATX_INO_OFFSET));
    }
  }

  public static Identity identity(Path path) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      return Identity.of(statx(arena, AT_FDCWD, path, STATX_INO));
    }
  }

  /** Of the path, or with a descriptor of what that has open; the path is for messages then. */
  private static MemorySegment statx(Arena arena, int descriptor, Path path, int mask)
      throws IOException {
    try {
      MemorySegment state = arena.allocate(CALL_STATE);
      MemorySegment result = arena.allocate(STATX_SIZE_BYTES, Long.BYTES);
      boolean byPath = descriptor == AT_FDCWD;
      int status =
          (int)
              STATX.invokeExact(
                  state,
                  descriptor,
                  arena.allocateFrom(byPath ? path.toString() : ""),
                  byPath ? 0 : AT_EMPTY_PATH,
                  mask,
                  result);
      if (status < 0) {
        throw failure("stat", path, state);
      }
      return result;
    } catch (Throwable e) {
      throw rethrow(e);
    }
  }

  /** Whether the file system, or the quota on it, has no room for what a call was to write. */
  public static boolean outOfSpace(IOException e) {
    String message = e.getMessage();
    return message != null && FULL.stream().anyMatch(message::contains);
  }

  /** Whether the process, or the system, had no descriptor left for a call. */
  public static boolean outOfDescriptors(IOException e) {
    String message = e.getMessage();
    return message != null && (message.endsWith(text(EMFILE)) || message.endsWith(text(ENFILE)));
  }

  /** What this process is told of an error, in its language. */
  public static String text(int errno) {
    try {
      MemorySegment text = (MemorySegment) STRERROR.invokeExact(errno);
      return text.reinterpret(Short.MAX_VALUE).getString(0);
    } catch (Throwable e) {
      throw new IllegalStateException("strerror failed", e);
    }
  }

  private static IOException failure(String verb, Path path, MemorySegment state) throws Throwable {
    int errno = (int) ERRNO.get(state, 0L);
    if (errno == ENOENT) {
      return new NoSuchFileException(path.toString());
    }
    return new IOException("cannot " + verb + " " + path + ": " + text(errno));
  }

  private static IOException rethrow(Throwable e) {
    return switch (e) {
      case IOException io -> io;
      case RuntimeException runtime -> throw runtime;
      case Error error -> throw error;
      default -> new IOException("native call failed", e);
    };
  }
}
