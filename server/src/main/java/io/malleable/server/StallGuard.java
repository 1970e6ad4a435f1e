package io.malleable.server;

import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.time.Duration;

/**
 * Ends a stream whose reader takes nothing any more: a connection may stay open for ever, and what
 * is sent keeps an image from being deleted. The thread that made it writes, and is interrupted,
 * which closes the socket of a virtual thread.
 */
final class StallGuard extends FilterOutputStream {
  private final Thread writer = Thread.currentThread();
  private final Thread watch;
  private volatile long movedAtNanos = System.nanoTime();

  StallGuard(OutputStream out, Duration patience) {
    super(out);
    this.watch = Thread.ofVirtual().name("stall-guard").unstarted(() -> watch(patience));
  }

  StallGuard started() {
    watch.start();
    return this;
  }

  private void watch(Duration patience) {
    try {
      for (Duration left = patience; left.isPositive(); left = left(patience)) {
        Thread.sleep(left);
      }
      writer.interrupt();
    } catch (InterruptedException e) {
      // The stream has ended before.
      Thread.currentThread().interrupt();
    }
  }

  private Duration left(Duration patience) {
    return patience.minusNanos(System.nanoTime() - movedAtNanos);
  }

  @Override
  public void write(byte[] bytes, int offset, int length) throws IOException {
    out.write(bytes, offset, length);
    movedAtNanos = System.nanoTime();
  }

  /** Ends the watch; the stream below stays open. */
  @Override
  public void close() throws IOException {
    watch.interrupt();
    try {
      watch.join();
    } catch (InterruptedException e) {
      // Meant for the stream, which has ended by itself; joined or not, it is over.
      throw new IOException("the client has not taken anything for too long", e);
    }
  }
}
