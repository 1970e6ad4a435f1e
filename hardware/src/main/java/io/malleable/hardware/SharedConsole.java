package io.malleable.hardware;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Shares a console of which there is only one session, such as Serial over LAN: whoever comes first
 * opens it, whoever leaves last closes it, and in between all see the same and may type. A reader
 * that is too slow loses the oldest output, not the others' time. Safe for all threads.
 */
final class SharedConsole implements NodeConsole {
  private static final Logger LOG = System.getLogger(SharedConsole.class.getName());

  /** Of the session so far, for those who come later. */
  private static final int PAST_BYTES = 64 * 1024;

  private static final int QUEUE_CHUNKS = 64;
  private static final Duration LOOK = Duration.ofSeconds(1);

  private final NodeConsole console;
  private final Lock lock = new ReentrantLock();
  private @Nullable Line line;

  SharedConsole(NodeConsole console) {
    this.console = console;
  }

  @Override
  public ConsoleSession open(int tailBytes) throws IOException {
    lock.lock();
    try {
      Line current = line;
      if (current == null) {
        current = new Line(console.open(0));
        line = current;
      }
      return current.join(tailBytes);
    } finally {
      lock.unlock();
    }
  }

  /** One session with the BMC. */
  private final class Line {
    private final ConsoleSession session;
    private final List<Seat> seats = new ArrayList<>();
    private final Object typing = new Object();
    private byte[] past = {};
    private boolean open = true;

    Line(ConsoleSession session) {
      this.session = session;
      Thread.ofVirtual().name("shared-console").start(this::pump);
    }

    boolean isOpen() {
      synchronized (seats) {
        return open;
      }
    }

    /** Only by the holder of the console's lock, which {@link #leave} takes as well. */
    Seat join(int tailBytes) {
      synchronized (seats) {
        int from = Math.max(0, past.length - tailBytes);
        Seat seat = new Seat(this, Arrays.copyOfRange(past, from, past.length));
        seats.add(seat);
        return seat;
      }
    }

    void leave(Seat seat) throws IOException {
      lock.lock();
      try {
        synchronized (seats) {
          if (!seats.remove(seat) || !seats.isEmpty() || !open) {
            return;
          }
        }
        forget();
      } finally {
        lock.unlock();
      }
    }

    private void pump() {
      byte[] buffer = new byte[4096];
      try {
        int count = 0;
        while (isOpen() && count >= 0) {
          count = session.read(buffer, LOOK);
          if (count > 0) {
            spread(Arrays.copyOf(buffer, count));
          }
        }
      } catch (IOException e) {
        LOG.log(Level.INFO, "a console ended: {0}", e.getMessage());
      }
      end();
    }

    private void spread(byte[] chunk) {
      synchronized (seats) {
        byte[] all = Arrays.copyOf(past, past.length + chunk.length);
        System.arraycopy(chunk, 0, all, past.length, chunk.length);
        past = Arrays.copyOfRange(all, Math.max(0, all.length - PAST_BYTES), all.length);
        seats.forEach(seat -> seat.offer(chunk));
      }
    }

    private void end() {
      lock.lock();
      try {
        synchronized (seats) {
          seats.forEach(Seat::end);
          if (!open) {
            return;
          }
        }
        forget();
      } catch (IOException e) {
        LOG.log(Level.DEBUG, "a console that ended could not be closed", e);
      } finally {
        lock.unlock();
      }
    }

    /** Only by the holder of the lock: the next one who comes opens another session. */
    private void forget() throws IOException {
      synchronized (seats) {
        open = false;
      }
      line = null;
      session.close();
    }

    void type(byte[] input) throws IOException {
      synchronized (typing) {
        session.write(input);
      }
    }
  }

  /** One who reads and types. */
  private static final class Seat implements ConsoleSession {
    private final Line line;
    private final BlockingQueue<byte[]> received = new ArrayBlockingQueue<>(QUEUE_CHUNKS);
    private byte[] rest;
    private volatile boolean ended;

    Seat(Line line, byte[] past) {
      this.line = line;
      this.rest = past;
    }

    /** Called by one thread at a time. */
    void offer(byte[] chunk) {
      while (!received.offer(chunk)) {
        received.poll();
      }
    }

    void end() {
      ended = true;
      offer(new byte[0]); // Wakes a reader that waits.
    }

    @Override
    public int read(byte[] into, Duration timeout) throws IOException {
      if (rest.length == 0) {
        byte[] next;
        try {
          next = received.poll(Math.max(0, timeout.toNanos()), TimeUnit.NANOSECONDS);
        } catch (InterruptedException e) {
          Thread.currentThread().interrupt();
          throw new InterruptedIOException("interrupted at the console");
        }
        if (next == null || next.length == 0) {
          return ended && received.isEmpty() ? -1 : 0;
        }
        rest = next;
      }
      int count = Math.min(into.length, rest.length);
      System.arraycopy(rest, 0, into, 0, count);
      rest = Arrays.copyOfRange(rest, count, rest.length);
      return count;
    }

    @Override
    public void write(byte[] input) throws IOException {
      line.type(input);
    }

    @Override
    public void close() throws IOException {
      line.leave(this);
    }
  }
}
