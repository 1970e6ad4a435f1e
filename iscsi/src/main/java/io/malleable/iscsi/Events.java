package io.malleable.iscsi;

import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;

/** Hands events to the listener, off the connection threads. */
final class Events implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(Events.class.getName());
  private static final int QUEUE_LENGTH = 8192;
  private static final long CLOSE_WAIT_MILLIS = 2_000;

  private final TargetListener listener;
  private final BlockingQueue<Consumer<TargetListener>> queue =
      new ArrayBlockingQueue<>(QUEUE_LENGTH);
  private final AtomicLong dropped = new AtomicLong();
  private final Thread thread;
  private volatile boolean closing;

  Events(TargetListener listener) {
    this.listener = listener;
    this.thread = Thread.ofVirtual().name("iscsi-events").start(this::run);
  }

  void post(Consumer<TargetListener> event) {
    if (!queue.offer(event)) {
      dropped.incrementAndGet();
    }
  }

  private void run() {
    while (true) {
      Consumer<TargetListener> event;
      try {
        event = queue.take();
      } catch (InterruptedException e) {
        return;
      }
      try {
        event.accept(listener);
      } catch (RuntimeException e) {
        LOG.log(Level.ERROR, "a target listener failed", e);
      }
      long lost = dropped.getAndSet(0);
      if (lost > 0) {
        LOG.log(Level.WARNING, "the target listener is too slow: {0} events dropped", lost);
      }
      if (closing && queue.isEmpty()) {
        return;
      }
    }
  }

  /** Delivers what is queued, as far as the listener takes it in time. */
  @Override
  public void close() {
    closing = true;
    post(ignored -> {});
    try {
      if (!thread.join(Duration.ofMillis(CLOSE_WAIT_MILLIS))) {
        LOG.log(Level.WARNING, "the target listener did not take its last events in time");
        thread.interrupt();
      }
    } catch (InterruptedException e) {
      thread.interrupt();
      Thread.currentThread().interrupt();
    }
  }
}
