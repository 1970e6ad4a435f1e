package io.malleable.iscsi;

import java.io.IOException;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/** Task management functions (RFC 7143 11.5, 11.6; SAM-5 7). Owned by the connection thread. */
final class TaskManagement {
  private static final int ABORT_TASK = 1;
  private static final int ABORT_TASK_SET = 2;
  private static final int CLEAR_TASK_SET = 4;
  private static final int LOGICAL_UNIT_RESET = 5;
  private static final int TARGET_WARM_RESET = 6;
  private static final int TARGET_COLD_RESET = 7;
  private static final int TASK_REASSIGN = 8;

  private static final int COMPLETE = 0;
  private static final int NO_SUCH_TASK = 1;
  private static final int NO_SUCH_LUN = 2;
  private static final int REASSIGN_NOT_SUPPORTED = 4;
  private static final int NOT_SUPPORTED = 5;
  private static final int REJECTED = 255;

  /** Less than the 15 s after which Linux takes a function for failed. */
  private static final long MAX_WAIT_MILLIS = 10_000;

  private final Session session;
  private final CommandWindow window;
  private final PduReader reader;
  private final PduWriter out;
  private final DataOutTasks pending;
  private final Workers workers;

  /** How long a function waits for what the store is doing. */
  private final long waitLimitMillis;

  TaskManagement(
      Session session,
      CommandWindow window,
      PduReader reader,
      PduWriter out,
      DataOutTasks pending,
      Workers workers) {
    this.session = session;
    this.window = window;
    this.reader = reader;
    this.out = out;
    this.pending = pending;
    this.workers = workers;
    this.waitLimitMillis =
        Math.min(MAX_WAIT_MILLIS, session.connection().config().stallTimeout().toMillis());
  }

  /** Returns true when the whole target was reset and every session of it has to go. */
  boolean onRequest() throws IOException {
    RequestHeader header = reader.header();
    if (!window.admit(header.cmdSn(), header.immediate())) {
      return false;
    }
    int function = header.flags() & 0x7f;
    int tag = header.initiatorTaskTag();
    long lunField = header.lun();
    int referencedTag = header.intAt(Bhs.REFERENCED_TASK_TAG_OFFSET);
    // Statuses of tasks that ended before must not come after the answer: RFC 7143 4.2.3.3.
    out.flush();
    int response = perform(function, lunField, referencedTag);
    out.begin(Opcode.TASK_MANAGEMENT_RESPONSE, Bhs.FINAL_BIT, tag, Outbound.STAT_SN_USED, 0);
    out.putByte(Bhs.RESPONSE_OFFSET, response);
    out.end();
    return function == TARGET_COLD_RESET && response == COMPLETE;
  }

  private int perform(int function, long lunField, int referencedTag) throws IOException {
    return switch (function) {
      case ABORT_TASK ->
          abort(task -> task.initiatorTaskTag == referencedTag) == 0 ? NO_SUCH_TASK : COMPLETE;
      case ABORT_TASK_SET, CLEAR_TASK_SET, LOGICAL_UNIT_RESET -> {
        NexusUnit unit = unit(lunField);
        yield unit == null ? NO_SUCH_LUN : perform(function, unit);
      }
      case TARGET_WARM_RESET, TARGET_COLD_RESET -> resetAll();
      case TASK_REASSIGN -> REASSIGN_NOT_SUPPORTED;
      default -> NOT_SUPPORTED;
    };
  }

  private @Nullable NexusUnit unit(long lunField) {
    return ScsiTasks.lunIsSingleLevel(lunField) ? session.unit(ScsiTasks.lun(lunField)) : null;
  }

  /** The unit first: if it is too busy, nothing has been aborted, and the rejection is true. */
  private int perform(int function, NexusUnit unit) throws IOException {
    boolean done =
        switch (function) {
          case CLEAR_TASK_SET -> unit.device().clearTaskSet(unit, waitLimitMillis);
          case LOGICAL_UNIT_RESET -> unit.device().reset(waitLimitMillis);
          default -> true;
        };
    if (!done) {
      return REJECTED;
    }
    abort(task -> task.unit == unit);
    return COMPLETE;
  }

  private int resetAll() throws IOException {
    Target target = session.target();
    if (target == null) {
      return NOT_SUPPORTED;
    }
    boolean begun = false;
    for (DeviceServer device : target.devices()) {
      if (!device.reset(waitLimitMillis)) {
        if (begun) {
          throw giveUp("a unit could not be reset where others had been");
        }
        return REJECTED;
      }
      begun = true;
    }
    abort(task -> true);
    return COMPLETE;
  }

  /** Returns how many tasks it has ended, none of which gets a status. */
  private int abort(Predicate<Task> which) throws IOException {
    int waiting = pending.abort(which);
    int running = workers.abort(which, waitLimitMillis);
    if (running < 0) {
      throw giveUp("the store did not finish a task that was aborted");
    }
    return waiting + running;
  }

  /**
   * Some tasks are void by now and others are not, which no answer can say: the session ends, and
   * the initiator begins anew with all of them lost (RFC 7143 7.1.4.4).
   */
  private IOException giveUp(String what) {
    IOException failure = new IOException(what + " within " + waitLimitMillis + " ms");
    session.connection().fail(failure);
    return failure;
  }
}
