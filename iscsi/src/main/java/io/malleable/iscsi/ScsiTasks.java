package io.malleable.iscsi;

import java.io.IOException;
import java.util.ArrayDeque;
import org.jspecify.annotations.Nullable;

/**
 * The SCSI commands of one session: from SCSI Command and Data-Out PDUs to status. Owned by the
 * connection thread; a command whose data is all here is executed at once by that thread, or handed
 * to {@link Workers} if the unit wants concurrency.
 */
final class ScsiTasks {
  private static final int CDB_NACA = 0x04;
  private static final int INQUIRY = 0x12;
  private static final int REPORT_LUNS = 0xa0;
  private static final int REQUEST_SENSE = 0x03;
  private static final int PERSISTENT_RESERVE_IN = 0x5e;
  private static final int PERSISTENT_RESERVE_OUT = 0x5f;

  private final Session session;
  private final NegotiatedParameters parameters;
  private final CommandWindow window;
  private final PduReader reader;
  private final PduWriter out;
  private final DataOutTasks pending;
  private final Workers workers;
  private final SessionEvents events;
  private final ArrayDeque<Task> spares = new ArrayDeque<>();
  private long arrivals;

  ScsiTasks(
      Session session,
      CommandWindow window,
      PduReader reader,
      PduWriter out,
      DataOutTasks pending,
      Workers workers,
      SessionEvents events) {
    this.session = session;
    this.parameters = session.parameters();
    this.window = window;
    this.reader = reader;
    this.out = out;
    this.pending = pending;
    this.workers = workers;
    this.events = events;
  }

  void onCommand() throws IOException {
    RequestHeader header = reader.header();
    if (!window.admit(header.cmdSn(), header.immediate())) {
      return;
    }
    Task task = decode(header);
    checkDataRules(task, header);
    boolean retained = false;
    try {
      if (prepare(task)) {
        retained = begin(task, header.finalBit());
      }
    } catch (ScsiException e) {
      fail(task, e, out);
    }
    if (!retained) {
      spares.addFirst(task);
    }
    resume();
  }

  private Task decode(RequestHeader header) throws IOException {
    int tag = header.initiatorTaskTag();
    if (tag == Bhs.RESERVED_TAG || pending.inUse(tag) || workers.inUse(tag)) {
      throw new ProtocolException("initiator task tag " + Integer.toHexString(tag) + " is in use");
    }
    Task task = spares.pollFirst();
    if (task == null) {
      task = new Task();
    }
    task.reset();
    task.arrival = ++arrivals;
    task.initiatorTaskTag = tag;
    task.lunField = header.lun();
    task.immediateDelivery = header.immediate();
    int flags = header.flags();
    task.expectsRead = (flags & Bhs.READ_BIT) != 0;
    task.expectsWrite = (flags & Bhs.WRITE_BIT) != 0;
    task.attribute = flags & Bhs.TASK_ATTRIBUTE_MASK;
    task.expectedBytes = header.intAt(Bhs.EXPECTED_DATA_TRANSFER_LENGTH_OFFSET) & 0xffffffffL;
    header.copyCdb(task.cdb);
    return task;
  }

  /** RFC 7143 11.3.4, 13.10, 13.11: what may come with a command and after it unasked. */
  private void checkDataRules(Task task, RequestHeader header) throws ProtocolException {
    int length = reader.dataLength();
    if (length > 0 && (!task.expectsWrite || !parameters.immediateData())) {
      throw new ProtocolException("immediate data that was not negotiated");
    }
    if (length > task.expectedBytes || length > parameters.firstBurstBytes()) {
      throw new ProtocolException("immediate data of " + length + " bytes, more than announced");
    }
    if (!header.finalBit() && (!task.expectsWrite || parameters.initialR2t())) {
      throw new ProtocolException("unsolicited data announced that was not negotiated");
    }
  }

  /** Finds unit and command and checks what stands against executing it; false when answered. */
  private boolean prepare(Task task) throws ScsiException, IOException {
    NexusUnit unit = lunIsSingleLevel(task.lunField) ? session.unit(lun(task.lunField)) : null;
    if (unit == null) {
      MissingUnit.answer(task, session, out);
      return false;
    }
    task.unit = unit;
    task.abortGeneration = unit.abortGeneration();
    DeviceServer device = unit.device();
    device.noticeCapacity();
    int opcode = task.cdb[0] & 0xff;
    CommandSpec spec = CommandSet.find(opcode, task.cdb[1] & 0x1f);
    if (unit.hasAttention() && !exemptFromAttention(opcode)) {
      UnitAttention attention = unit.takeAttention();
      if (attention != null) {
        throw attention.sense().asException();
      }
    }
    if (spec == null) {
      throw (CommandSet.knownOpcode(opcode)
              ? SenseData.invalidFieldInCdb(1)
              : SenseData.INVALID_OPCODE)
          .asException();
    }
    task.spec = spec;
    if (task.attribute > Task.HEAD_OF_QUEUE) {
      // ACA, where there is no such condition, or reserved (RFC 7143 11.3.1).
      throw SenseData.INVALID_MESSAGE.asException();
    }
    int controlOffset = spec.usage().length - 1;
    if (Cdb.bit(task.cdb, controlOffset, CDB_NACA)) {
      throw SenseData.invalidFieldInCdb(controlOffset).asException();
    }
    checkReservations(unit, device, spec);
    spec.prepare().run(task);
    return true;
  }

  private static void checkReservations(NexusUnit unit, DeviceServer device, CommandSpec spec)
      throws ScsiException {
    if (spec.access() != CommandSpec.ReservationAccess.FREE && device.reservedByOther(unit)) {
      throw new ReservationConflictException();
    }
    boolean persistent =
        spec.opcode() == PERSISTENT_RESERVE_IN || spec.opcode() == PERSISTENT_RESERVE_OUT;
    if (persistent && device.reservedSimply()) {
      // Whoever holds it: the two kinds of reservation exclude each other (SPC-2 5.5.1).
      throw new ReservationConflictException();
    }
    if (device.reservations().conflicts(unit.nexus(), spec.access())) {
      throw new ReservationConflictException();
    }
  }

  private static boolean exemptFromAttention(int opcode) {
    return opcode == INQUIRY || opcode == REPORT_LUNS || opcode == REQUEST_SENSE;
  }

  /** SAM-5 4.7: peripheral or flat addressing of 0 to 255; anything else names no unit of ours. */
  static boolean lunIsSingleLevel(long lunField) {
    int method = (int) (lunField >>> 62);
    int number = (int) ((lunField >>> 48) & 0x3fff);
    return (lunField & 0xffffffffffffL) == 0 && method <= 1 && number <= TargetDefinition.MAX_LUN;
  }

  static int lun(long lunField) {
    return (int) ((lunField >>> 48) & 0x3fff);
  }

  /** Returns whether the task lives on. */
  private boolean begin(Task task, boolean finalBit) throws IOException, ScsiException {
    return switch (task.spec().phase()) {
      case MEDIUM_WRITE, PARAMETER_OUT -> beginDataOut(task, finalBit);
      default -> pending.order().mustWait(task) ? hold(task, 0) : executeOrDispatch(task);
    };
  }

  private boolean beginDataOut(Task task, boolean finalBit) throws IOException, ScsiException {
    boolean collected = task.spec().phase() == CommandSpec.Phase.PARAMETER_OUT;
    task.wantedBytes = task.expectsWrite ? Math.min(task.transferBytes, task.expectedBytes) : 0;
    if (collected && task.wantedBytes > BufferPool.MAX_SEGMENT_BYTES) {
      throw SenseData.INSUFFICIENT_RESOURCES.asException();
    }
    int immediateBytes = (int) Math.min(reader.dataLength(), task.wantedBytes);
    if (immediateBytes < task.wantedBytes) {
      return pending.retain(task, reader, immediateBytes, finalBit, out);
    }
    if (pending.order().mustWait(task)) {
      return hold(task, immediateBytes);
    }
    if (workers.wanted(task) && pending.copy(task, reader, immediateBytes)) {
      return completed(task);
    }
    task.receivedBytes = immediateBytes;
    task.data = reader.buffer();
    task.dataStart = reader.dataOffset();
    boolean retained = executeHere(task);
    task.data = null;
    reader.buffer().clear();
    return retained;
  }

  /** SAM-5 8.6: the task could begin but for others that came before it. */
  private boolean hold(Task task, int immediateBytes) throws IOException {
    if (pending.hold(task, reader, immediateBytes)) {
      return true;
    }
    Replies.status(out, task, ScsiStatus.TASK_SET_FULL);
    return false;
  }

  /** All of the data that a retained task waited for is here. */
  void onDataComplete(Task task) throws IOException {
    if (pending.order().mustWait(task)) {
      pending.order().hold(task);
    } else {
      finish(task);
    }
  }

  private void finish(Task task) throws IOException {
    if (!completed(task)) {
      spares.addFirst(task);
    }
  }

  /** Returns whether the task lives on; its buffer is given back when it does not. */
  private boolean completed(Task task) throws IOException {
    boolean retained = false;
    try {
      retained = executeOrDispatch(task);
    } finally {
      if (!retained) {
        pending.releaseBuffer(task);
      }
    }
    return retained;
  }

  /** Goes on with what has waited for its turn; after each PDU that may have ended a task. */
  void resume() throws IOException {
    boolean progress = pending.turnsMatter();
    while (progress) {
      pending.startBursts(out);
      Task next = pending.order().nextInTurn();
      progress = next != null;
      if (next != null) {
        finish(next);
      }
    }
  }

  private boolean executeOrDispatch(Task task) throws IOException {
    if (workers.wanted(task) && pending.mayLeave(task)) {
      if (task.attribute == Task.ORDERED) {
        out.flush();
      }
      workers.dispatch(task, this);
      return true;
    }
    return executeHere(task);
  }

  /** Returns whether the task lives on; the data it had is used up then. */
  private boolean executeHere(Task task) throws IOException {
    boolean flushes = execute(task, out);
    if (flushes) {
      pending.releaseBuffer(task);
    }
    if (task.attribute == Task.ORDERED) {
      // It begins after the status of those before it and ends with its own; others send as well.
      out.flush();
    }
    if (flushes) {
      workers.flush(task);
    }
    return flushes;
  }

  /**
   * Does the command and answers it; called by the connection thread or by a worker.
   *
   * @return true when it is not answered yet: it has to be made durable first
   */
  boolean execute(Task task, PduWriter writer) throws IOException {
    CommandSpec spec = task.spec();
    NexusUnit unit = task.unit();
    if (task.isVoid()) {
      unit.noticeAbort(task);
      return false;
    }
    if (spec.phase() == CommandSpec.Phase.MEDIUM_READ) {
      long sent = MediumReads.execute(task, writer, parameters);
      if (session.countRead(sent)) {
        events.firstRead();
      }
      return false;
    }
    ScsiException failure = perform(task, spec);
    if (failure != null) {
      fail(task, failure, writer);
      return false;
    }
    boolean writes = spec.phase() == CommandSpec.Phase.MEDIUM_WRITE && spec.writesMedium();
    if (writes && session.countWrite(task.consumedBytes)) {
      events.firstWrite();
    }
    if (task.flushesMore()) {
      return true;
    }
    done(task);
    if (spec.phase() == CommandSpec.Phase.PARAMETER_IN) {
      byte[] reply = task.reply;
      Replies.parameterData(writer, task, reply == null ? new byte[0] : reply, parameters);
    } else {
      Replies.good(writer, task, task.transferBytes, 0);
    }
    return false;
  }

  /** Before the status GOOD of a command. */
  static void done(Task task) {
    if (task.spec().writesMedium()) {
      task.device().fullStore().onDone(task.cdb);
    }
  }

  /** Gives what has come so far to the device; null when that went well. */
  static @Nullable ScsiException handOn(Task task) {
    try {
      DataOutTasks.consume(task);
      return null;
    } catch (ScsiException e) {
      return e;
    } catch (IOException | RuntimeException e) {
      return Failures.of(task, e);
    }
  }

  /** The device's part, apart from the socket's: only its failures become sense data. */
  private static @Nullable ScsiException perform(Task task, CommandSpec spec) {
    try {
      if (spec.phase() == CommandSpec.Phase.MEDIUM_WRITE) {
        DataOutTasks.consume(task);
      }
      spec.action().run(task);
      return null;
    } catch (ScsiException e) {
      return e;
    } catch (IOException | RuntimeException e) {
      return Failures.of(task, e);
    }
  }

  static void fail(Task task, ScsiException e, PduWriter writer) throws IOException {
    if (e instanceof TaskAbortedException) {
      task.unit().noticeAbort(task);
      return;
    }
    if (e.status() == ScsiStatus.CHECK_CONDITION) {
      Replies.checkCondition(writer, task, e.sense(), 0, 0);
    } else {
      Replies.status(writer, task, e.status());
    }
  }
}
