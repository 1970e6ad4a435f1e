package io.malleable.app;

import java.lang.System.Logger.Level;
import java.time.Duration;

/** Looks at something again and again, on a thread of its own, until it is closed. */
final class Ticker implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(Ticker.class.getName());

  private final Runnable look;
  private final Duration pause;
  private final Thread thread;

  private Ticker(String name, Duration pause, Runnable look) {
    this.look = look;
    this.pause = pause;
    this.thread = Thread.ofVirtual().name(name).unstarted(this::run);
  }

  /** The first look is now; one that fails is logged, and the next may do better. */
  static Ticker start(String name, Duration pause, Runnable look) {
    Ticker ticker = new Ticker(name, pause, look);
    ticker.thread.start();
    return ticker;
  }

  private void run() {
    try {
      while (true) {
        try {
          look.run();
        } catch (RuntimeException e) {
          LOG.log(Level.ERROR, thread.getName() + " failed; trying again", e);
        }
        Thread.sleep(pause);
      }
    } catch (InterruptedException e) {
      LOG.log(Level.DEBUG, "{0} is closed", thread.getName());
    }
  }

  @Override
  public void close() {
    thread.interrupt();
    try {
      thread.join();
    } catch (InterruptedException e) {
      // It ends by itself all the same.
      Thread.currentThread().interrupt();
    }
  }
}
