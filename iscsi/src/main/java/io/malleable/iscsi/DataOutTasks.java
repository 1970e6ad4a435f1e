package io.malleable.iscsi;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Tasks that wait for data from the initiator: unsolicited, or asked for by R2T one burst at a time
 * (RFC 7143 11.7, 11.8). And, by {@link TaskOrder}, those that have it and wait for others to end.
 * Owned by the connection thread.
 *
 * <p>Only an open burst holds a large buffer: what came before it has been given to the logical
 * unit, less than a block excepted.
 */
final class DataOutTasks {
  /** Bursts of one session that are asked for at once; each holds a buffer. */
  private static final int MAX_OPEN_BURSTS = 8;

  /** Beyond so many, asked for or not, data that would come unasked finds the task set full. */
  private static final int MAX_UNSOLICITED_BURSTS = 32;

  /** Tasks for immediate delivery come on top of the command window. */
  private static final int MAX_TASKS = 1024 + 16;

  /** Tasks that wait for their turn with data that has come already. */
  private static final int MAX_HELD = 16;

  private final NegotiatedParameters parameters;
  private final DataBuffers buffers;
  private final ArrayDeque<Task> tasks = new ArrayDeque<>();
  private final ArrayDeque<Task> waitingForTurn = new ArrayDeque<>();
  private final TaskOrder order;
  private int openBursts;
  private int nextTransferTag;

  /** When an open burst was asked for or went on, or 0; read by the timer. */
  private volatile long expectingSinceNanos;

  DataOutTasks(
      NegotiatedParameters parameters, CommandWindow window, Workers workers, BufferPool pool) {
    this.parameters = parameters;
    this.order = new TaskOrder(window, workers, tasks);
    this.buffers = new DataBuffers(pool);
  }

  TaskOrder order() {
    return order;
  }

  /** Whether a tag stands for a task; that of a void one is free again, and so is its buffer. */
  boolean inUse(int initiatorTaskTag) {
    if (tasks.isEmpty() && order.held().isEmpty()) {
      return false;
    }
    Task task = find(tasks, initiatorTaskTag);
    task = task == null ? find(order.held(), initiatorTaskTag) : task;
    if (task == null || !task.isVoid()) {
      return task != null;
    }
    forget(task);
    return false;
  }

  private static @Nullable Task find(ArrayDeque<Task> among, int initiatorTaskTag) {
    for (Task task : among) {
      if (task.initiatorTaskTag == initiatorTaskTag) {
        return task;
      }
    }
    return null;
  }

  /** When the initiator last did something about the data that it owes, or 0 if it owes none. */
  long expectingSinceNanos() {
    return expectingSinceNanos;
  }

  /**
   * Keeps a task whose data is not all here and asks for more of it when its turn comes.
   *
   * @return false when the task has been answered instead: there is no room for what it announced,
   *     or its first data could not be written
   */
  boolean retain(Task task, PduReader reader, int immediateBytes, boolean finalBit, PduWriter out)
      throws IOException {
    if (tasks.size() >= MAX_TASKS) {
      throw new ProtocolException("more than " + MAX_TASKS + " tasks wait for data");
    }
    boolean early = immediateBytes > 0 && order.mustWait(task);
    boolean room =
        collected(task)
            ? roomToCollect(task)
            : finalBit
                ? !early || roomToHold(task, immediateBytes)
                : mayHold() && roomForBurst(task);
    if (!room) {
      Replies.status(out, task, ScsiStatus.TASK_SET_FULL);
      return false;
    }
    if (immediateBytes > 0) {
      ScsiException failure = takeImmediate(task, reader, immediateBytes);
      if (failure != null) {
        ScsiTasks.fail(task, failure, out);
        return false;
      }
    }
    task.arrivedBytes = reader.dataLength();
    tasks.addLast(task);
    order.begun(task);
    if (finalBit) {
      waitingForTurn.addLast(task);
    } else {
      task.unsolicitedOpen = true;
      task.burstEndBytes = Math.min(parameters.firstBurstBytes(), task.expectedBytes);
      openBursts++;
      noteProgress();
    }
    return true;
  }

  /**
   * Keeps a task that must wait, with the data that has come for it.
   *
   * @return false when there is no room
   */
  boolean hold(Task task, PduReader reader, int immediateBytes) {
    if (!mayHold() || (immediateBytes > 0 && !copy(task, reader, immediateBytes))) {
      return false;
    }
    order.hold(task);
    return true;
  }

  /** Whether some task could go on now; see {@link ScsiTasks#resume}. */
  boolean turnsMatter() {
    return order.anyOrdered() || !waitingForTurn.isEmpty() || !order.held().isEmpty();
  }

  private static boolean collected(Task task) {
    return task.spec().phase() == CommandSpec.Phase.PARAMETER_OUT;
  }

  /** Parameter data stays until all of it is here. */
  private boolean roomToCollect(Task task) {
    long collecting = tasks.stream().filter(DataOutTasks::collected).count();
    if (collecting >= MAX_OPEN_BURSTS) {
      return false;
    }
    return buffers.lend(task, (int) task.wantedBytes);
  }

  /** For immediate data that must not reach the medium yet. */
  private boolean roomToHold(Task task, int immediateBytes) {
    return mayHold() && buffers.lend(task, immediateBytes);
  }

  private boolean mayHold() {
    return !order.anyOrdered()
        || order.held().size() + waitingForTurn.stream().filter(task -> task.data != null).count()
            < MAX_HELD;
  }

  private boolean roomForBurst(Task task) {
    return openBursts < MAX_UNSOLICITED_BURSTS && buffers.lendLarge(task);
  }

  /** Into the task's buffer if it has one, otherwise to the unit; what failed there, or null. */
  private static @Nullable ScsiException takeImmediate(
      Task task, PduReader reader, int immediateBytes) {
    ByteBuffer own = task.data;
    task.receivedBytes = immediateBytes;
    if (own != null) {
      own.put(0, reader.buffer().clear(), reader.dataOffset(), immediateBytes);
      return null;
    }
    task.data = reader.buffer();
    task.dataStart = reader.dataOffset();
    ScsiException failure = handOn(task);
    task.data = null;
    task.dataStart = 0;
    reader.buffer().clear();
    return failure;
  }

  /** Gives what has come to the unit and keeps what is left of a block; what failed, or null. */
  private static @Nullable ScsiException handOn(Task task) {
    long available = task.receivedBytes - task.consumedBytes;
    ScsiException failure = ScsiTasks.handOn(task);
    int left = (int) (task.receivedBytes - task.consumedBytes);
    if (failure == null && left > 0) {
      byte[] rest = new byte[left];
      task.data().clear().get(task.dataStart + (int) available - left, rest);
      task.rest = rest;
    }
    return failure;
  }

  /**
   * Copies immediate data, which is all there is, into a buffer of the task's own.
   *
   * @return false when there is none
   */
  boolean copy(Task task, PduReader reader, int immediateBytes) {
    if (!buffers.lend(task, immediateBytes)) {
      return false;
    }
    task.data().put(0, reader.buffer().clear(), reader.dataOffset(), immediateBytes);
    task.receivedBytes = immediateBytes;
    return true;
  }

  /** See {@link DataBuffers#mayLeave}. */
  boolean mayLeave(Task task) {
    return buffers.mayLeave(task);
  }

  void releaseBuffer(Task task) {
    buffers.release(task);
  }

  /**
   * Takes a Data-Out PDU.
   *
   * @return the task if its data is complete now, no longer kept here; null otherwise. Its buffer
   *     is the caller's to {@linkplain #releaseBuffer release}, before {@link ScsiTasks#resume}
   */
  @Nullable Task onDataOut(PduReader reader, PduWriter out) throws IOException {
    RequestHeader header = reader.header();
    Task task = find(tasks, header.initiatorTaskTag());
    if (task == null) {
      // Left over from a task that failed or was aborted meanwhile: RFC 7143 11.7 lets it come.
      return null;
    }
    if (task.isVoid()) {
      forget(task);
      return null;
    }
    if (header.intAt(Bhs.DATA_SN_OFFSET) != task.nextDataSn) {
      // A PDU is missing; at error recovery level 0 that ends the task (RFC 7143 7.9).
      forget(task);
      ScsiTasks.fail(task, SenseData.DATA_LOST.asException(), out);
      return null;
    }
    accept(task, header, reader);
    noteProgress();
    if (!header.finalBit()) {
      return null;
    }
    endBurst(task);
    if (task.receivedBytes >= task.wantedBytes) {
      tasks.remove(task);
      order.ended(task);
      return task;
    }
    // What has come for a task that must wait stays in its buffer.
    if (!collected(task) && !order.mustWait(task)) {
      ScsiException failure = handOn(task);
      if (failure != null) {
        forget(task);
        ScsiTasks.fail(task, failure, out);
        return null;
      }
      buffers.release(task);
    }
    waitingForTurn.addLast(task);
    return null;
  }

  private static void accept(Task task, RequestHeader header, PduReader reader)
      throws ProtocolException {
    int length = reader.dataLength();
    long offset = header.intAt(Bhs.BUFFER_OFFSET_OFFSET) & 0xffffffffL;
    int tag = header.targetTransferTag();
    boolean open = task.unsolicitedOpen ? tag == Bhs.RESERVED_TAG : task.burstOpen;
    if (!open || (!task.unsolicitedOpen && tag != task.targetTransferTag)) {
      throw new ProtocolException("Data-Out that nobody asked for");
    }
    if (offset != task.arrivedBytes || length > task.burstEndBytes - offset) {
      throw new ProtocolException(
          "Data-Out of " + length + " bytes at " + offset + " is outside of its burst");
    }
    task.nextDataSn++;
    int wanted = (int) Math.min(length, task.wantedBytes - task.receivedBytes);
    if (wanted > 0) {
      int at = (int) (task.receivedBytes - task.consumedBytes);
      task.data().put(at, reader.buffer().clear(), reader.dataOffset(), wanted);
      task.receivedBytes += wanted;
    }
    task.arrivedBytes += length;
  }

  private void endBurst(Task task) throws ProtocolException {
    if (task.burstOpen && task.arrivedBytes != task.burstEndBytes) {
      throw new ProtocolException("Data-Out burst ends before what was asked for");
    }
    closeBurst(task);
  }

  private void closeBurst(Task task) {
    if (task.burstOpen || task.unsolicitedOpen) {
      openBursts--;
    }
    task.burstOpen = false;
    task.unsolicitedOpen = false;
    noteProgress();
  }

  private void noteProgress() {
    expectingSinceNanos = openBursts == 0 ? 0 : System.nanoTime() | 1;
  }

  /** Not the initiator's fault: what has come meanwhile was not read. */
  void excuse(long busyNanos) {
    long since = expectingSinceNanos;
    if (since != 0) {
      expectingSinceNanos = (since + busyNanos) | 1;
    }
  }

  /** Asks for the next bursts, as many as may be under way. */
  void startBursts(PduWriter out) throws IOException {
    while (openBursts < MAX_OPEN_BURSTS) {
      Task task = order.firstThatMayStart(waitingForTurn);
      if (task == null) {
        return;
      }
      if (task.isVoid()) {
        forget(task);
        continue;
      }
      ScsiException failure = task.data == null || collected(task) ? null : giveHeld(task);
      if (failure != null) {
        forget(task);
        ScsiTasks.fail(task, failure, out);
      } else if (task.data != null || buffers.lendForBurst(task)) {
        waitingForTurn.remove(task);
        startBurst(task, out);
      } else {
        // Goes on after the open burst that has the small buffer.
        return;
      }
    }
  }

  /** Immediate data that had to wait for the task's turn goes to the unit. */
  private @Nullable ScsiException giveHeld(Task task) {
    ScsiException failure = handOn(task);
    buffers.release(task);
    return failure;
  }

  private void startBurst(Task task, PduWriter out) throws IOException {
    int most = Math.min(buffers.largestBurst(task), parameters.maxBurstBytes());
    long length = Math.min(most, task.wantedBytes - task.receivedBytes);
    task.burstEndBytes = task.receivedBytes + length;
    task.arrivedBytes = task.receivedBytes;
    task.nextDataSn = 0;
    task.burstOpen = true;
    task.targetTransferTag = transferTag();
    openBursts++;
    noteProgress();
    Replies.readyToTransfer(out, task, task.r2tSn++, task.receivedBytes, length);
  }

  private int transferTag() {
    int tag = nextTransferTag++;
    return tag == Bhs.RESERVED_TAG ? nextTransferTag++ : tag;
  }

  /** Moves whole blocks from the task's buffer into its sink. */
  static void consume(Task task) throws ScsiException, IOException {
    ByteBuffer data = task.data;
    if (data == null) {
      return;
    }
    int available = (int) (task.receivedBytes - task.consumedBytes);
    int whole = available & -task.device().blockSizeBytes();
    if (whole > 0) {
      int start = task.dataStart;
      data.clear().limit(start + whole).position(start);
      task.spec().sink().accept(task, task.offsetBytes() + task.consumedBytes, data);
      task.consumedBytes += whole;
      data.clear();
    }
    int part = available - whole;
    if (part > 0 && task.receivedBytes == task.wantedBytes && task.spec().writesMedium()) {
      int start = task.dataStart + whole;
      data.clear().limit(start + part).position(start);
      PartialBlock.write(task, task.offsetBytes() + task.consumedBytes, data);
      task.consumedBytes += part;
      data.clear();
    }
  }

  /** Ends tasks without a status; returns how many. */
  int abort(Predicate<Task> which) {
    int count = 0;
    List<Task> all = new ArrayList<>(tasks);
    all.addAll(order.held());
    for (Task task : all) {
      if (which.test(task)) {
        forget(task);
        count++;
      }
    }
    return count;
  }

  private void forget(Task task) {
    tasks.remove(task);
    order.held().remove(task);
    waitingForTurn.remove(task);
    closeBurst(task);
    order.ended(task);
    buffers.release(task);
  }

  /** The connection ends: gives every buffer back. */
  void close() {
    while (!tasks.isEmpty()) {
      forget(tasks.getFirst());
    }
    while (!order.held().isEmpty()) {
      forget(order.held().getFirst());
    }
  }
}
