package io.malleable.app;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.EOFException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.SocketException;
import java.nio.ByteBuffer;
import java.util.BitSet;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * A machine with one disk that outlives its server: it sends commands of all kinds, holds each
 * answer against the model, and logs in again when the server is back. One thread uses it; between
 * {@link #begin} and {@link #end} or {@link #awaitLoss} the commands come from a thread of its own.
 */
final class DiskLoad {
  private static final String NAME = "iqn.2026-11.io.malleable.test:load";
  private static final int LOOK_MILLIS = 100;

  /** Looks that may find nothing new: a minute and more of this process's time. */
  private static final int MAX_LOOKS = 900;

  private static final int MAX_SECTORS = Initiator.MAX_DATA_BYTES / DiskModel.SECTOR_BYTES;
  private static final int BLOCK_SECTORS = 8;
  private static final int MAX_ZEROED_SECTORS = 2048;
  private static final int PICKS = 20;

  private final DiskModel model;
  private final Random random;

  /** Commands that change sectors and were answered with GOOD. */
  private final AtomicLong acknowledged = new AtomicLong();

  private final Map<Integer, Open> open = new HashMap<>();

  /** Sectors that an open command changes. */
  private final BitSet changing;

  /** What the last SYNCHRONIZE CACHE that was answered with GOOD found acknowledged. */
  private DiskModel.State durable;

  private int flushes;
  private int lastFlushed;

  private @Nullable Initiator initiator;
  private @Nullable Thread thread;
  private volatile Goal awaited = new Goal(Long.MAX_VALUE, new CountDownLatch(1));
  private volatile boolean stopping;
  private volatile @Nullable Throwable failure;

  /**
   * How commands are sent.
   *
   * @param depth commands that are open at a time
   * @param flushPercent of the commands are SYNCHRONIZE CACHE
   */
  record Mix(int depth, int flushPercent) {}

  /** Changes acknowledged, a number that somebody waits for. */
  private record Goal(long count, CountDownLatch reached) {}

  /** A command that was sent, and what its answer means. */
  private record Open(Answered answered, DiskModel.@Nullable Change change) {}

  /** What is done with a good answer. */
  private interface Answered {
    void accept(byte[] data);
  }

  /**
   * A load that is the same for the same seed, but for when answers come.
   *
   * @param model is kept up to date
   */
  DiskLoad(DiskModel model, long seed) {
    this.model = model;
    this.random = new Random(seed);
    this.changing = new BitSet(model.sectors());
    this.durable = model.state();
  }

  DiskModel model() {
    return model;
  }

  /** Logs in, as the same initiator each time. */
  void logIn(JsonNode iscsi) throws IOException {
    logOut();
    initiator = Initiator.login(iscsi, NAME);
  }

  /** The same where the target is reached by another address than it knows. */
  void logIn(InetSocketAddress address, JsonNode iscsi) throws IOException {
    logOut();
    initiator = Initiator.login(address, iscsi, NAME);
  }

  void logOut() throws IOException {
    Initiator current = initiator;
    if (current != null) {
      current.close();
      initiator = null;
    }
  }

  /** Reads all of the disk and holds it against the model, which knows it exactly afterwards. */
  byte[] verify(String when) throws IOException {
    byte[] content = readAll();
    DiskModel.State state = model.state();
    Optional<String> fault = model.fault(0, content, state, state);
    if (fault.isPresent()) {
      throw new AssertionError(when + ": " + fault.get());
    }
    model.settle(content);
    return content;
  }

  /** The same after the power of the server's host was cut: what was flushed is there. */
  void verifyFlushed(String when) throws IOException {
    byte[] content = readAll();
    Optional<String> fault = model.fault(0, content, durable, model.state());
    if (fault.isPresent()) {
      throw new AssertionError(when + ": " + fault.get());
    }
    model.settle(content);
    durable = model.state();
  }

  /** All that the disk holds. */
  byte[] readAll() throws IOException {
    ByteBuffer content = ByteBuffer.allocate(model.sectors() * DiskModel.SECTOR_BYTES);
    for (int lba = 0; lba < model.sectors(); lba += MAX_SECTORS) {
      int sectors = Math.min(MAX_SECTORS, model.sectors() - lba);
      content.put(good(Cdb.read(lba, sectors), sectors * DiskModel.SECTOR_BYTES));
    }
    return content.array();
  }

  void flush() throws IOException {
    good(Cdb.synchronizeCache(), 0);
    durable = model.state();
  }

  private byte[] good(byte[] cdb, int readBytes) throws IOException {
    Initiator.Answer answer = loggedIn().execute(cdb, new byte[0], readBytes);
    if (answer.status() != Initiator.GOOD) {
      throw new AssertionError("command %02x: %s".formatted(cdb[0], answer));
    }
    return answer.data();
  }

  private Initiator loggedIn() {
    Initiator current = initiator;
    if (current == null) {
      throw new IllegalStateException("not logged in");
    }
    return current;
  }

  /** Begins to send commands. */
  void begin(Mix mix) {
    stopping = false;
    failure = null;
    Initiator current = loggedIn();
    thread = Thread.ofPlatform().name("disk-load").start(() -> run(current, mix));
  }

  /** Waits until so many more changes were acknowledged, or the server is gone. */
  void awaitAcknowledged(int more) throws InterruptedException {
    Goal goal = new Goal(acknowledged.get() + more, new CountDownLatch(1));
    awaited = goal;
    long seen = acknowledged.get();
    int looks = 0;
    while (acknowledged.get() < goal.count && isRunning()) {
      goal.reached.await(LOOK_MILLIS, TimeUnit.MILLISECONDS);
      looks = acknowledged.get() == seen ? looks + 1 : 0;
      seen = acknowledged.get();
      if (looks > MAX_LOOKS) {
        throw new AssertionError("no command is answered any more");
      }
    }
  }

  boolean isRunning() {
    Thread current = thread;
    return current != null && current.isAlive();
  }

  /** Sends no more, and waits for the answers; the server must have given all of them. */
  void end() throws InterruptedException {
    stopping = true;
    join();
    if (!open.isEmpty()) {
      throw new AssertionError("the target ended the session of a disk that is in use");
    }
  }

  /** Waits for the end of the connection to a server that dies. */
  void awaitLoss() throws IOException, InterruptedException {
    join();
    open.clear();
    changing.clear();
    logOut();
  }

  /** Ends the connection to a target from which nothing comes any more. */
  void awaitLossOfSilent() throws IOException, InterruptedException {
    loggedIn().close();
    awaitLoss();
  }

  private void join() throws InterruptedException {
    Thread current = thread;
    if (current != null) {
      current.join();
      thread = null;
    }
    Throwable failed = failure;
    if (failed != null) {
      throw new AssertionError(failed.getMessage(), failed);
    }
  }

  private void run(Initiator target, Mix mix) {
    try {
      while (!stopping || !open.isEmpty()) {
        while (!stopping && open.size() < mix.depth()) {
          send(target, mix);
        }
        receive(target.receive());
      }
    } catch (EOFException | SocketException e) {
      // The server is gone: what is open may have been done or not.
    } catch (IOException | RuntimeException | Error e) {
      failure = e;
    }
    hangUp(target);
  }

  private void hangUp(Initiator target) {
    if (!stopping) {
      try {
        target.close();
      } catch (IOException e) {
        failure = e;
      }
    }
  }

  private void receive(Initiator.Answer answer) throws IOException {
    Open command = open.remove(answer.tag());
    if (command == null) {
      throw new IOException("an answer to no command: " + answer);
    }
    DiskModel.Change change = command.change;
    if (change != null) {
      changing.clear(change.lba(), change.lba() + change.sectors());
    }
    if (answer.status() == Initiator.GOOD) {
      if (change != null) {
        model.acknowledge(change);
        if (acknowledged.incrementAndGet() == awaited.count) {
          awaited.reached.countDown();
        }
      }
      command.answered.accept(answer.data());
    } else if (answer.status() != Initiator.BUSY && answer.status() != Initiator.TASK_SET_FULL) {
      throw new IOException("a command was refused: " + answer);
    }
  }

  private void send(Initiator target, Mix mix) throws IOException {
    if (random.nextInt(100) < mix.flushPercent) {
      DiskModel.State now = model.state();
      int flush = ++flushes;
      int tag = target.send(Cdb.synchronizeCache(), new byte[0], 0);
      open.put(tag, new Open(_ -> onFlushed(flush, now), null));
      return;
    }
    switch (random.nextInt(20)) {
      case 0, 1, 2 -> read(target);
      case 3 -> zero(target, Cdb::writeSame);
      case 4 -> zero(target, Cdb::writeSameOrUnmap);
      case 5, 6 -> unmap(target);
      case 7, 8 -> compareAndWrite(target);
      default -> write(target);
    }
  }

  private void onFlushed(int flush, DiskModel.State found) {
    // They may be answered in any order.
    if (flush > lastFlushed) {
      lastFlushed = flush;
      durable = found;
    }
  }

  private void read(Initiator target) throws IOException {
    int sectors = sectors();
    int lba = random.nextInt(model.sectors() - sectors + 1);
    DiskModel.State before = model.state(lba, sectors);
    int tag = target.send(Cdb.read(lba, sectors), new byte[0], sectors * DiskModel.SECTOR_BYTES);
    open.put(
        tag,
        new Open(
            data ->
                model
                    .fault(lba, data, before, model.state(lba, sectors))
                    .ifPresent(fault -> {
                      throw new IllegalStateException("a read while in use: " + fault);
                    }),
            null));
  }

  private void write(Initiator target) throws IOException {
    int sectors = sectors();
    int lba = free(sectors);
    if (lba >= 0) {
      DiskModel.Change change = model.write(lba, sectors);
      sent(target.send(Cdb.write(lba, sectors), change.content(), 0), change);
    }
  }

  /** A command for a range of zeroes. */
  private interface Zeroing {
    byte[] cdb(int lba, int sectors);
  }

  private void zero(Initiator target, Zeroing command) throws IOException {
    int sectors = 1 + random.nextInt(random.nextInt(4) == 0 ? MAX_ZEROED_SECTORS : 64);
    int lba = free(sectors);
    if (lba >= 0) {
      DiskModel.Change change = model.zero(lba, sectors);
      byte[] block = new byte[DiskModel.SECTOR_BYTES];
      sent(target.send(command.cdb(lba, sectors), block, 0), change);
    }
  }

  private void unmap(Initiator target) throws IOException {
    int sectors = 1 + random.nextInt(random.nextInt(4) == 0 ? MAX_ZEROED_SECTORS : 64);
    int lba = free(sectors);
    if (lba >= 0) {
      DiskModel.Change change = model.zero(lba, sectors);
      sent(target.send(Cdb.unmap(), Cdb.unmapList(lba, sectors), 0), change);
    }
  }

  private void compareAndWrite(Initiator target) throws IOException {
    int sectors = 1 + random.nextInt(MAX_SECTORS / 2);
    int lba = free(sectors);
    Optional<byte[]> expected = lba < 0 ? Optional.empty() : model.certain(lba, sectors);
    if (expected.isPresent()) {
      DiskModel.Change change = model.write(lba, sectors);
      ByteBuffer data = ByteBuffer.allocate(2 * sectors * DiskModel.SECTOR_BYTES);
      data.put(expected.get()).put(change.content());
      sent(target.send(Cdb.compareAndWrite(lba, sectors), data.array(), 0), change);
    }
  }

  private void sent(int tag, DiskModel.@Nullable Change change) {
    if (change != null) {
      changing.set(change.lba(), change.lba() + change.sectors());
    }
    open.put(tag, new Open(_ -> {}, change));
  }

  /** Whole blocks most of the time, parts of blocks often. */
  private int sectors() {
    return switch (random.nextInt(10)) {
      case 0, 1, 2, 3 -> BLOCK_SECTORS;
      case 4, 5, 6 -> 1 + random.nextInt(3 * BLOCK_SECTORS);
      case 7, 8 -> BLOCK_SECTORS * (1 + random.nextInt(MAX_SECTORS / BLOCK_SECTORS));
      default -> 1 + random.nextInt(MAX_SECTORS);
    };
  }

  /** A place that no open command changes, mostly at the beginning of a block; -1 for none. */
  private int free(int sectors) {
    for (int i = 0; i < PICKS; i++) {
      int lba = random.nextInt(model.sectors() - sectors + 1);
      if (random.nextInt(3) > 0) {
        lba -= lba % BLOCK_SECTORS;
      }
      int change = changing.nextSetBit(lba);
      if (change < 0 || change >= lba + sectors) {
        return lba;
      }
    }
    return -1;
  }
}
