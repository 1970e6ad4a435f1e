package io.malleable.volume.rbd;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.lang.System.Logger.Level;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * One thread that waits in {@code epoll_wait} for the eventfds of all open images and hands
 * finished completions to their image. An upcall from Ceph's threads would do the same, but an
 * exception in one ends the JVM.
 *
 * <p>The thread is a platform thread because it spends its life in a native call.
 */
final class CompletionPoller implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(CompletionPoller.class.getName());

  private static final int EPOLLIN = 1;
  private static final int EPOLL_CTL_ADD = 1;
  private static final int EPOLL_CTL_DEL = 2;
  private static final int EFD_CLOEXEC_NONBLOCK = 0x80000 | 0x800;
  private static final int EPOLL_CLOEXEC = 0x80000;
  private static final int MAX_EVENTS = 64;

  /**
   * {@code struct epoll_event} is packed on x86-64: events at 0, data at 4; natural alignment
   * elsewhere.
   */
  private static final boolean PACKED = System.getProperty("os.arch").equals("amd64");

  private static final int EVENT_BYTES = PACKED ? 12 : 16;
  private static final int EVENT_DATA_OFFSET = PACKED ? 4 : 8;

  private static final MethodHandle EVENTFD = libc("eventfd", JAVA_INT, JAVA_INT, JAVA_INT);
  private static final MethodHandle EPOLL_CREATE1 = libc("epoll_create1", JAVA_INT, JAVA_INT);
  private static final MethodHandle EPOLL_CTL =
      libc("epoll_ctl", JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS);
  private static final MethodHandle EPOLL_WAIT =
      libc("epoll_wait", JAVA_INT, JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT);
  private static final MethodHandle READ = libc("read", JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG);
  private static final MethodHandle WRITE = libc("write", JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG);
  private static final MethodHandle CLOSE = libc("close", JAVA_INT, JAVA_INT);

  /** What an eventfd belongs to. */
  interface Source {
    /** Called on the poller's thread whenever the eventfd became readable; must not block. */
    void onReadable();
  }

  private final int epollFd;
  private final int stopFd;
  private final Map<Integer, Source> sources = new ConcurrentHashMap<>();
  private final Thread thread;
  private volatile boolean stopping;

  CompletionPoller() throws IOException {
    epollFd = checked("epoll_create1", () -> (int) EPOLL_CREATE1.invokeExact(EPOLL_CLOEXEC));
    stopFd = eventFd();
    control(EPOLL_CTL_ADD, stopFd);
    thread = Thread.ofPlatform().name("rbd-completions").daemon(true).unstarted(this::run);
    thread.start();
  }

  /** A new eventfd whose readiness is reported to the source until {@link #unregister}. */
  int register(Source source) throws IOException {
    int fd = eventFd();
    sources.put(fd, source);
    control(EPOLL_CTL_ADD, fd);
    return fd;
  }

  void unregister(int fd) throws IOException {
    control(EPOLL_CTL_DEL, fd);
    sources.remove(fd);
    checked("close", () -> (int) CLOSE.invokeExact(fd));
  }

  private void run() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment events = arena.allocate((long) EVENT_BYTES * MAX_EVENTS, 8);
      MemorySegment counter = arena.allocate(JAVA_LONG);
      while (!stopping) {
        int ready = (int) EPOLL_WAIT.invokeExact(epollFd, events, MAX_EVENTS, -1);
        for (int i = 0; i < ready; i++) {
          int fd = events.get(JAVA_INT_UNALIGNED, (long) i * EVENT_BYTES + EVENT_DATA_OFFSET);
          long _ = (long) READ.invokeExact(fd, counter, 8L);
          Source source = sources.get(fd);
          if (source != null) {
            notify(source);
          }
        }
      }
    } catch (Throwable e) {
      LOG.log(
          Level.ERROR,
          "the poller of RBD completions ended; every pending RBD request will time out",
          e);
    }
  }

  private static void notify(Source source) {
    try {
      source.onReadable();
    } catch (RuntimeException e) {
      LOG.log(Level.ERROR, "handing out RBD completions failed", e);
    }
  }

  @Override
  public void close() throws IOException {
    stopping = true;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment one = arena.allocateFrom(JAVA_LONG, 1);
      long _ = callLong(() -> (long) WRITE.invokeExact(stopFd, one, 8L));
    }
    try {
      thread.join(10_000);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    checked("close", () -> (int) CLOSE.invokeExact(stopFd));
    checked("close", () -> (int) CLOSE.invokeExact(epollFd));
  }

  private static int eventFd() throws IOException {
    return checked("eventfd", () -> (int) EVENTFD.invokeExact(0, EFD_CLOEXEC_NONBLOCK));
  }

  private void control(int operation, int fd) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment event = arena.allocate(EVENT_BYTES, 8);
      event.set(JAVA_INT, 0, EPOLLIN);
      event.set(JAVA_INT_UNALIGNED, EVENT_DATA_OFFSET, fd);
      checked("epoll_ctl", () -> (int) EPOLL_CTL.invokeExact(epollFd, operation, fd, event));
    }
  }

  private interface IntCall {
    int invoke() throws Throwable;
  }

  private interface LongCall {
    long invoke() throws Throwable;
  }

  private static int checked(String name, IntCall call) throws IOException {
    int result;
    try {
      result = call.invoke();
    } catch (Throwable e) {
      throw new AssertionError(name + " cannot throw", e);
    }
    if (result < 0) {
      throw new IOException(name + " failed");
    }
    return result;
  }

  private static long callLong(LongCall call) {
    try {
      return call.invoke();
    } catch (Throwable e) {
      throw new AssertionError("a libc call cannot throw", e);
    }
  }

  private static MethodHandle libc(String name, MemoryLayout result, MemoryLayout... arguments) {
    Linker linker = Linker.nativeLinker();
    return linker.downcallHandle(
        linker.defaultLookup().findOrThrow(name), FunctionDescriptor.of(result, arguments));
  }
}
