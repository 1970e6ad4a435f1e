package io.malleable.http;

import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Iterator;

/**
 * Clients that have been told that there is no room for them, and have not gone yet. Closing a
 * socket that has unread bytes resets the connection, and a reset takes the answer away from the
 * client; so what it sends is thrown away until it closes or its time is over. There are few at a
 * time, and none waits for another. Owned by the listener's thread.
 */
final class RefusedConnections {
  private static final System.Logger LOG = System.getLogger(RefusedConnections.class.getName());

  /** One more ends the oldest, which has had its answer for longest. */
  static final int MOST = 16;

  private static final Duration LINGER = Duration.ofSeconds(2);

  /** Of one client; who sends more is not listening. */
  private static final int MAX_BYTES = 1 << 18;

  private final Selector selector;
  private final byte[] answer;
  private final ArrayDeque<Refused> waiting = new ArrayDeque<>();
  private final ByteBuffer discarded = ByteBuffer.allocate(1 << 13);

  private static final class Refused {
    final SocketChannel channel;
    final long sinceNanos = System.nanoTime();
    int bytes;

    Refused(SocketChannel channel) {
      this.channel = channel;
    }
  }

  /**
   * None yet.
   *
   * @param selector that the listener's thread waits at
   */
  RefusedConnections(Selector selector, byte[] answer) {
    this.selector = selector;
    this.answer = answer;
  }

  boolean isEmpty() {
    return waiting.isEmpty();
  }

  /** Answers a new client; closes its connection then or later, also when this fails. */
  void refuse(SocketChannel channel) throws IOException {
    try {
      channel.configureBlocking(false);
      // Nothing has been sent yet, so there is room for all of it.
      channel.write(ByteBuffer.wrap(answer));
      channel.shutdownOutput();
      channel.register(selector, SelectionKey.OP_READ);
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
    if (waiting.size() == MOST) {
      end(waiting.removeFirst());
    }
    waiting.addLast(new Refused(channel));
  }

  /** Takes what has come and ends those who have gone or whose time is over. */
  void tend() {
    long now = System.nanoTime();
    for (Iterator<Refused> each = waiting.iterator(); each.hasNext(); ) {
      Refused refused = each.next();
      if (now - refused.sinceNanos > LINGER.toNanos() || gone(refused)) {
        each.remove();
        end(refused);
      }
    }
  }

  private boolean gone(Refused refused) {
    try {
      int taken = 1;
      while (taken > 0 && refused.bytes < MAX_BYTES) {
        discarded.clear();
        taken = refused.channel.read(discarded);
        refused.bytes += Math.max(0, taken);
      }
      return taken != 0;
    } catch (IOException e) {
      LOG.log(Level.DEBUG, "a client that was refused has hung up", e);
      return true;
    }
  }

  private static void end(Refused refused) {
    try {
      refused.channel.close();
    } catch (IOException e) {
      LOG.log(Level.DEBUG, "closing a connection failed", e);
    }
  }

  void endAll() {
    waiting.forEach(RefusedConnections::end);
    waiting.clear();
  }
}
