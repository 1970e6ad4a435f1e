package io.malleable.iscsi;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/**
 * A session's life after login: takes PDU after PDU as they have arrived, and those that follow at
 * once, and sends all answers together before it waits for more. Owned by the connection thread.
 */
final class FullFeaturePhase {
  private static final int REJECT_DATA_DIGEST = 0x02;
  private static final int REJECT_SNACK = 0x03;
  private static final int REJECT_PROTOCOL_ERROR = 0x04;
  private static final int REJECT_NOT_SUPPORTED = 0x05;

  /** Between two looks at the socket while tasks wait for those that workers have. */
  private static final long TURN_MILLIS = 1;

  private static final int CLOSE_CONNECTION = 1;
  private static final int LOGOUT_FOR_RECOVERY = 2;
  private static final int CID_NOT_FOUND = 1;
  private static final int RECOVERY_NOT_SUPPORTED = 2;

  private final Connection connection;
  private final Session session;
  private final CommandWindow window;
  private final BusyPoll receiver;
  private final PduReader reader;
  private final PduWriter out;
  private final DataOutTasks pending;
  private final Workers workers;
  private final ScsiTasks tasks;
  private final TaskManagement taskManagement;
  private final TextExchange textExchange;

  /** Of {@link Workers#endings}, when tasks that waited for them last went on. */
  private int seenEndings;

  FullFeaturePhase(
      Connection connection,
      Session session,
      TargetRegistry registry,
      CommandWindow window,
      BusyPoll receiver,
      PduReader reader,
      PduWriter out,
      Workers workers,
      BufferPool pool) {
    this.connection = connection;
    this.session = session;
    this.window = window;
    this.receiver = receiver;
    this.reader = reader;
    this.out = out;
    this.workers = workers;
    this.pending = new DataOutTasks(session.parameters(), window, workers, pool);
    this.tasks = new ScsiTasks(session, window, reader, out, pending, workers, connection);
    this.taskManagement = new TaskManagement(session, window, reader, out, pending, workers);
    this.textExchange = new TextExchange(session, registry, window, reader, out);
  }

  /** See {@link DataOutTasks#expectingSinceNanos}. */
  long expectingSinceNanos() {
    return pending.expectingSinceNanos();
  }

  /** Returns how the session ended when both sides agree that it has. */
  SessionEnd run() throws IOException {
    long awakeSinceNanos = System.nanoTime();
    try {
      while (true) {
        while (reader.next()) {
          SessionEnd end = dispatch();
          if (end != null) {
            out.flush();
            return end;
          }
        }
        if (out.mayWait() && reader.gather(receiver)) {
          continue;
        }
        out.flush();
        receiver.owing(!workers.idle());
        if (!reader.poll(receiver)) {
          out.release();
          pending.excuse(System.nanoTime() - awakeSinceNanos);
          connection.waiting();
          awaitCommandsOrTurns();
          connection.working();
          awakeSinceNanos = System.nanoTime();
        }
      }
    } catch (ProtocolException e) {
      reject(REJECT_PROTOCOL_ERROR);
      out.flush();
      throw e;
    } finally {
      workers.close();
      pending.close();
    }
  }

  /**
   * Waits for commands. An ordered task makes others wait for what workers do, or waits so itself;
   * the end of that does not wake a thread that sleeps in the socket, and a thread that sleeps for
   * it answers no ping, so then this one looks after both in turn.
   */
  private void awaitCommandsOrTurns() throws IOException {
    // In this order: an end that the first question comes too late for is seen by the second.
    boolean mayWaitForWorkers = pending.order().mayWaitForWorkers();
    int endings = workers.endings();
    if (endings == seenEndings || !pending.turnsMatter()) {
      if (!mayWaitForWorkers) {
        reader.fill();
        return;
      }
      if (!reader.look(receiver)) {
        workers.awaitChange(TURN_MILLIS);
      }
    }
    seenEndings = endings;
    connection.working();
    tasks.resume();
  }

  private @Nullable SessionEnd dispatch() throws IOException {
    RequestHeader header = reader.header();
    if (!reader.dataIntact()) {
      // Error recovery level 0: told, and left to the initiator's next session (RFC 7143 7.8).
      reject(REJECT_DATA_DIGEST);
      return new SessionEnd(SessionEnd.Cause.PROTOCOL_ERROR, "data digest does not match");
    }
    int opcode = header.opcode();
    if (session.target() == null && !allowedInDiscovery(opcode)) {
      reject(REJECT_PROTOCOL_ERROR);
      return null;
    }
    switch (opcode) {
      case Opcode.SCSI_COMMAND -> tasks.onCommand();
      case Opcode.DATA_OUT -> {
        Task complete = pending.onDataOut(reader, out);
        if (complete != null) {
          tasks.onDataComplete(complete);
        }
        tasks.resume();
      }
      case Opcode.NOP_OUT -> onNop(header);
      case Opcode.TASK_MANAGEMENT_REQUEST -> {
        if (taskManagement.onRequest()) {
          out.flush();
          connection.resetTarget();
          return new SessionEnd(SessionEnd.Cause.RESET, "target cold reset");
        }
        tasks.resume();
      }
      case Opcode.TEXT_REQUEST -> textExchange.onRequest();
      case Opcode.LOGOUT_REQUEST -> {
        return onLogout(header);
      }
      case Opcode.SNACK_REQUEST -> reject(REJECT_SNACK);
      case Opcode.LOGIN_REQUEST ->
          throw new ProtocolException("login request in the full feature phase");
      default -> reject(REJECT_NOT_SUPPORTED);
    }
    return null;
  }

  /** RFC 7143 4.3: a discovery session has text requests and its own end. */
  private static boolean allowedInDiscovery(int opcode) {
    return opcode == Opcode.TEXT_REQUEST
        || opcode == Opcode.LOGOUT_REQUEST
        || opcode == Opcode.NOP_OUT
        || opcode == Opcode.LOGIN_REQUEST;
  }

  private void onNop(RequestHeader header) throws IOException {
    int tag = header.initiatorTaskTag();
    if (!window.admit(header.cmdSn(), header.immediate() || tag == Bhs.RESERVED_TAG)) {
      return;
    }
    if (tag == Bhs.RESERVED_TAG) {
      // The answer to a ping of ours; that it came is all there is to it.
      return;
    }
    int length = Math.min(reader.dataLength(), session.parameters().sendSegmentBytes());
    ByteBuffer data = out.begin(Opcode.NOP_IN, Bhs.FINAL_BIT, tag, Outbound.STAT_SN_USED, length);
    out.putInt(Bhs.TARGET_TRANSFER_TAG_OFFSET, Bhs.RESERVED_TAG);
    data.put(data.position(), reader.buffer().clear(), reader.dataOffset(), length);
    out.end();
  }

  private @Nullable SessionEnd onLogout(RequestHeader header) throws IOException {
    if (!window.admit(header.cmdSn(), header.immediate())) {
      return null;
    }
    int reason = header.flags() & 0x7f;
    int tag = header.initiatorTaskTag();
    boolean other = header.shortAt(Bhs.CID_OFFSET) != connection.connectionId();
    int response =
        switch (reason) {
          case CLOSE_CONNECTION -> other ? CID_NOT_FOUND : 0;
          case LOGOUT_FOR_RECOVERY -> RECOVERY_NOT_SUPPORTED;
          default -> 0;
        };
    if (response == 0) {
      // It ends all tasks of the session (RFC 7143 11.14), and whoever hears of it finds free what
      // the session held.
      workers.close();
      session.detachAll();
    }
    out.begin(Opcode.LOGOUT_RESPONSE, Bhs.FINAL_BIT, tag, Outbound.STAT_SN_USED, 0);
    out.putByte(Bhs.RESPONSE_OFFSET, response);
    out.end();
    return response == 0 ? new SessionEnd(SessionEnd.Cause.LOGOUT, "") : null;
  }

  private void reject(int reason) throws IOException {
    reader.buffer().clear();
    byte[] offending = reader.header().copy();
    ByteBuffer data =
        out.begin(
            Opcode.REJECT,
            Bhs.FINAL_BIT,
            Bhs.RESERVED_TAG,
            Outbound.STAT_SN_USED,
            offending.length);
    data.put(offending);
    out.putByte(Bhs.RESPONSE_OFFSET, reason);
    out.end();
  }
}
