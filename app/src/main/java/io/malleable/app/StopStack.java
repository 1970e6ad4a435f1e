package io.malleable.app;

import java.lang.System.Logger.Level;
import java.util.ArrayDeque;
import java.util.Deque;

/** What was started, stopped in reverse order; one failure does not keep the rest running. */
final class StopStack implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(StopStack.class.getName());

  private record Entry(String name, AutoCloseable part) {}

  private final Deque<Entry> started = new ArrayDeque<>();

  synchronized <T extends AutoCloseable> T push(String name, T part) {
    started.push(new Entry(name, part));
    return part;
  }

  @Override
  public synchronized void close() {
    while (!started.isEmpty()) {
      Entry entry = started.pop();
      try {
        entry.part().close();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        LOG.log(Level.ERROR, "stopping " + entry.name() + " was interrupted", e);
      } catch (Exception e) {
        LOG.log(Level.ERROR, "stopping " + entry.name() + " failed", e);
      }
    }
  }
}
