package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** On real sockets, with a clock that moves only when the test says so. */
class BusyPollTest {
  private static final int SHORT_WAITS_BEFORE_POLLING = 4;

  private final AtomicLong nowNanos = new AtomicLong();
  private final AtomicLong stepNanos = new AtomicLong();
  private final AtomicInteger clockReads = new AtomicInteger();
  private final ByteBuffer buffer = ByteBuffer.allocateDirect(64);
  private final ExecutorService threads = Executors.newCachedThreadPool();
  private SocketChannel ours;
  private SocketChannel peer;

  @BeforeEach
  void connect() throws IOException {
    try (ServerSocketChannel listener = ServerSocketChannel.open()) {
      listener.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
      peer = SocketChannel.open(listener.getLocalAddress());
      ours = listener.accept();
    }
  }

  @AfterEach
  void close() throws IOException {
    ours.close();
    peer.close();
    threads.close();
  }

  private long clock() {
    clockReads.incrementAndGet();
    return nowNanos.addAndGet(stepNanos.get());
  }

  private BusyPoll polling(Semaphore permits) {
    return new BusyPoll(ours, permits, this::clock);
  }

  /** As a connection does: polls, and sleeps if that was in vain. */
  private int receive(BusyPoll poll) throws IOException {
    int count = poll.poll(buffer.clear(), false);
    return count == 0 ? poll.read(buffer) : count;
  }

  private void exchange(BusyPoll poll, int times) throws IOException {
    for (int i = 0; i < times; i++) {
      peer.write(ByteBuffer.wrap(new byte[] {1}));
      assertEquals(1, receive(poll));
    }
  }

  @Test
  void anInitiatorThatNeverKeepsUsWaitingIsPolledFor() throws IOException {
    Semaphore permits = new Semaphore(1);
    BusyPoll poll = polling(permits);
    exchange(poll, SHORT_WAITS_BEFORE_POLLING);
    assertTrue(ours.isBlocking(), "not before its waits are known to be short");
    exchange(poll, 1);
    assertFalse(ours.isBlocking());
    assertEquals(1, permits.availablePermits());
  }

  @Test
  void anInitiatorThatTakesItsTimeIsNotPolledFor() throws IOException {
    BusyPoll poll = polling(new Semaphore(1));
    stepNanos.set(TimeUnit.MILLISECONDS.toNanos(1));
    exchange(poll, 100);
    assertTrue(ours.isBlocking());
  }

  @Test
  void withoutAPermitNothingIsPolled() throws IOException {
    BusyPoll poll = polling(BusyPoll.permits(1));
    exchange(poll, 100);
    assertTrue(ours.isBlocking());
  }

  @Test
  void nothingIsPolledOnceOtherThreadsSend() throws IOException {
    BusyPoll poll = polling(new Semaphore(1));
    exchange(poll, 2 * SHORT_WAITS_BEFORE_POLLING);
    assertFalse(ours.isBlocking());
    poll.stop();
    assertTrue(ours.isBlocking());
    exchange(poll, 100);
    assertTrue(ours.isBlocking());
  }

  @Test
  void whoHasSomethingToLoseBySleepingLooksOnce() throws IOException {
    BusyPoll poll = polling(BusyPoll.permits(1));
    assertEquals(0, poll.poll(buffer.clear(), true));
    peer.write(ByteBuffer.wrap(new byte[] {1, 2, 3}));
    assertEquals(0, poll.poll(buffer.clear(), false));
    assertEquals(3, poll.poll(buffer.clear(), true));
  }

  @Test
  void aPollThatFindsNothingEndsInSleep() throws Exception {
    Semaphore permits = new Semaphore(1);
    BusyPoll poll = polling(permits);
    exchange(poll, 2 * SHORT_WAITS_BEFORE_POLLING);
    stepNanos.set(TimeUnit.MICROSECONDS.toNanos(10));
    clockReads.set(0);
    Future<Integer> received = threads.submit(() -> receive(poll));
    while (clockReads.get() < 7) {
      Thread.onSpinWait();
    }
    peer.write(ByteBuffer.wrap(new byte[] {1, 2}));
    assertEquals(2, received.get(30, TimeUnit.SECONDS));
    assertTrue(ours.isBlocking());
    assertEquals(1, permits.availablePermits());
  }

  @Test
  void aThreadThatWasPreemptedWhilePollingStopsPollingForAWhile() throws Exception {
    BusyPoll poll = polling(new Semaphore(1));
    exchange(poll, 2 * SHORT_WAITS_BEFORE_POLLING);
    stepNanos.set(TimeUnit.MILLISECONDS.toNanos(5));
    clockReads.set(0);
    Future<Integer> received = threads.submit(() -> receive(poll));
    while (clockReads.get() < 3) {
      Thread.onSpinWait();
    }
    peer.write(ByteBuffer.wrap(new byte[] {1}));
    assertEquals(1, received.get(30, TimeUnit.SECONDS));
    stepNanos.set(0);
    exchange(poll, 100);
    assertTrue(ours.isBlocking());
    exchange(poll, 200);
    assertFalse(ours.isBlocking(), "and tries again later");
  }

  @Test
  void answersWaitForTheNextCommandsOnlyOfAnInitiatorThatSendsThemAtOnce() throws IOException {
    BusyPoll poll = polling(new Semaphore(1));
    assertFalse(poll.gathers(), "before it polls");
    exchange(poll, 2 * SHORT_WAITS_BEFORE_POLLING);
    for (int i = 0; i < 100; i++) {
      peer.write(ByteBuffer.wrap(new byte[] {1}));
      assertTrue(poll.gathers());
      assertEquals(1, poll.gather(buffer.clear()));
    }
    stepNanos.set(TimeUnit.MICROSECONDS.toNanos(1));
    int inVain = 0;
    while (poll.gathers()) {
      assertEquals(0, poll.gather(buffer.clear()));
      inVain++;
    }
    assertTrue(inVain > 1 && inVain < 10, "not for one failure, and not for long: " + inVain);
    int notTried = 0;
    while (!poll.gathers()) {
      notTried++;
    }
    assertTrue(notTried > 100 && notTried < 1000, "tries again later: " + notTried);
  }

  @Test
  void anAnswerThatDoesNotFitTheSocketWaitsForThePeer() throws Exception {
    byte[] answer = new byte[32 << 20];
    answer[answer.length - 1] = 42;
    ours.configureBlocking(false);
    Outbound outbound = new Outbound(ours);
    Future<?> sending =
        threads.submit(() -> {
          outbound.receiver(Thread.currentThread());
          outbound.send(ByteBuffer.wrap(answer), new int[0], 0);
          return null;
        });
    while (!ours.isBlocking()) {
      assertFalse(sending.isDone(), "more than any socket buffers");
      Thread.onSpinWait();
    }
    ByteBuffer received = ByteBuffer.allocate(answer.length);
    while (received.hasRemaining()) {
      assertTrue(peer.read(received) > 0);
    }
    sending.get(30, TimeUnit.SECONDS);
    assertEquals(42, received.get(answer.length - 1));
  }

  @Test
  void anInitiatorThatWaitsForUsItselfIsPolledForAfterwardsAsBefore() throws Exception {
    BusyPoll poll = polling(new Semaphore(1));
    exchange(poll, 2 * SHORT_WAITS_BEFORE_POLLING);
    stepNanos.set(TimeUnit.MICROSECONDS.toNanos(60));
    for (int i = 0; i < 10; i++) {
      poll.owing(true);
      Future<Integer> received = threads.submit(() -> receive(poll));
      while (!ours.isBlocking()) {
        Thread.onSpinWait();
      }
      peer.write(ByteBuffer.wrap(new byte[] {1}));
      assertEquals(1, received.get(30, TimeUnit.SECONDS));
      poll.owing(false);
      peer.write(ByteBuffer.wrap(new byte[] {1}));
      assertEquals(1, receive(poll));
      assertFalse(ours.isBlocking());
    }
  }

  @Test
  void whoOnlySendsLeavesThePollingToTheReceiver() throws Exception {
    byte[] answer = new byte[32 << 20];
    ours.configureBlocking(false);
    Outbound outbound = new Outbound(ours);
    outbound.receiver(Thread.currentThread());
    Future<?> sending =
        threads.submit(() -> {
          outbound.send(ByteBuffer.wrap(answer), new int[0], 0);
          return null;
        });
    ByteBuffer received = ByteBuffer.allocate(answer.length);
    while (received.hasRemaining()) {
      assertTrue(peer.read(received) > 0);
      assertFalse(ours.isBlocking());
    }
    sending.get(30, TimeUnit.SECONDS);
  }
}
