package io.malleable.iscsi;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Tasks that wait for data from the initiator: unsolicited, or asked for by R2T one burst at a time
 * (RFC 7143 11.7, 11.8). Owned by the connection thread.
 */
final class DataOutTasks {
  /** Bursts of one session that may be under way at once; each holds a buffer. */
  private static final int MAX_OPEN_BURSTS = 8;

  /** Tasks for immediate delivery come on top of the command window. */
  private static final int MAX_TASKS = 1024 + 16;

  private final NegotiatedParameters parameters;
  private final CommandWindow window;
  private final BufferPool pool;
  private final ArrayDeque<Task> tasks = new ArrayDeque<>();
  private final ArrayDeque<Task> waitingForTurn = new ArrayDeque<>();
  private int openBursts;
  private int nextTransferTag;

  DataOutTasks(NegotiatedParameters parameters, CommandWindow window, BufferPool pool) {
    this.parameters = parameters;
    this.window = window;
    this.pool = pool;
  }

  boolean contains(int initiatorTaskTag) {
    return !tasks.isEmpty() && find(initiatorTaskTag) != null;
  }

  private @Nullable Task find(int initiatorTaskTag) {
    for (Task task : tasks) {
      if (task.initiatorTaskTag == initiatorTaskTag) {
        return task;
      }
    }
    return null;
  }

  /** Keeps a task whose data is not all here and asks for more of it when its turn comes. */
  void retain(Task task, PduReader reader, int immediateBytes, boolean finalBit, PduWriter out)
      throws IOException {
    if (tasks.size() >= MAX_TASKS) {
      throw new ProtocolException("more than " + MAX_TASKS + " tasks wait for data");
    }
    if (immediateBytes > 0 || !finalBit) {
      fill(task, reader, immediateBytes);
    }
    task.arrivedBytes = reader.dataLength();
    tasks.addLast(task);
    window.taskRetained();
    if (finalBit) {
      waitingForTurn.addLast(task);
      startBursts(out);
    } else {
      task.unsolicitedOpen = true;
      task.burstEndBytes = Math.min(parameters.firstBurstBytes(), task.expectedBytes);
    }
  }

  /** Copies immediate data into a buffer of the task's own. */
  void fill(Task task, PduReader reader, int immediateBytes) throws IOException {
    ByteBuffer buffer = pool.acquire();
    buffer.put(0, reader.buffer().clear(), reader.dataOffset(), immediateBytes);
    task.data = buffer;
    task.ownsBuffer = true;
    task.receivedBytes = immediateBytes;
  }

  void releaseBuffer(Task task) {
    ByteBuffer buffer = task.data;
    if (buffer != null && task.ownsBuffer) {
      task.data = null;
      task.ownsBuffer = false;
      pool.release(buffer);
    }
  }

  /**
   * Takes a Data-Out PDU.
   *
   * @return the task if its data is complete now, no longer kept here; null otherwise
   */
  @Nullable Task onDataOut(PduReader reader, PduWriter out) throws IOException {
    RequestHeader header = reader.header();
    Task task = find(header.initiatorTaskTag());
    if (task == null) {
      // Left over from a task that failed or was aborted meanwhile: RFC 7143 11.7 lets it come.
      return null;
    }
    if (isVoid(task)) {
      drop(task, out);
      return null;
    }
    if (header.intAt(Bhs.DATA_SN_OFFSET) != task.nextDataSn) {
      // A PDU is missing; at error recovery level 0 that ends the task (RFC 7143 7.9).
      drop(task, out);
      ScsiTasks.fail(task, SenseData.DATA_LOST.asException(), out);
      return null;
    }
    accept(task, header, reader);
    if (!header.finalBit()) {
      return null;
    }
    endBurst(task);
    if (task.receivedBytes >= task.wantedBytes) {
      tasks.remove(task);
      window.taskEnded();
      startBursts(out);
      return task;
    }
    waitingForTurn.addLast(task);
    startBursts(out);
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
    if (task.burstOpen) {
      if (task.arrivedBytes != task.burstEndBytes) {
        throw new ProtocolException("Data-Out burst ends before what was asked for");
      }
      task.burstOpen = false;
      openBursts--;
    }
    task.unsolicitedOpen = false;
  }

  /** Asks for the next bursts, as many as may be under way. */
  private void startBursts(PduWriter out) throws IOException {
    while (openBursts < MAX_OPEN_BURSTS) {
      Task task = waitingForTurn.pollFirst();
      if (task == null) {
        return;
      }
      if (isVoid(task)) {
        forget(task);
      } else {
        startBurst(task, out);
      }
    }
  }

  private void startBurst(Task task, PduWriter out) throws IOException {
    if (task.data == null) {
      task.data = pool.acquire();
      task.ownsBuffer = true;
    } else if (task.spec().phase() == CommandSpec.Phase.MEDIUM_WRITE) {
      ScsiException failure = ScsiTasks.handOn(task);
      if (failure != null) {
        forget(task);
        ScsiTasks.fail(task, failure, out);
        return;
      }
    }
    long length = Math.min(parameters.maxBurstBytes(), task.wantedBytes - task.receivedBytes);
    task.burstEndBytes = task.receivedBytes + length;
    task.arrivedBytes = task.receivedBytes;
    task.nextDataSn = 0;
    task.burstOpen = true;
    task.targetTransferTag = transferTag();
    openBursts++;
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
      if (whole < available && task.ownsBuffer) {
        data.limit(available).position(whole);
        data.compact().clear();
      }
    }
  }

  private static boolean isVoid(Task task) {
    return task.unit().abortGeneration() != task.abortGeneration;
  }

  /** Ends tasks without a status; returns how many. */
  int abort(Predicate<Task> which, PduWriter out) throws IOException {
    int count = 0;
    for (Task task : tasks.toArray(new Task[0])) {
      if (which.test(task)) {
        drop(task, out);
        count++;
      }
    }
    return count;
  }

  private void drop(Task task, PduWriter out) throws IOException {
    forget(task);
    startBursts(out);
  }

  private void forget(Task task) {
    tasks.remove(task);
    waitingForTurn.remove(task);
    if (task.burstOpen) {
      task.burstOpen = false;
      openBursts--;
    }
    window.taskEnded();
    releaseBuffer(task);
  }

  /** The connection ends: gives every buffer back. */
  void close() {
    while (!tasks.isEmpty()) {
      forget(tasks.getFirst());
    }
  }
}
