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

  /** How long a function waits for what the store is doing. */
  private static final long WAIT_LIMIT_MILLIS = 10_000;

  private final Session session;
  private final CommandWindow window;
  private final PduReader reader;
  private final PduWriter out;
  private final DataOutTasks pending;
  private final Workers workers;

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
      case ABORT_TASK -> {
        int count = abort(task -> task.initiatorTaskTag == referencedTag);
        yield count == 0 ? NO_SUCH_TASK : count < 0 ? REJECTED : COMPLETE;
      }
      case ABORT_TASK_SET, CLEAR_TASK_SET -> {
        NexusUnit unit = unit(lunField);
        yield unit == null
            ? NO_SUCH_LUN
            : abort(task -> task.unit == unit) < 0 ? REJECTED : COMPLETE;
      }
      case LOGICAL_UNIT_RESET -> {
        NexusUnit unit = unit(lunField);
        yield unit == null ? NO_SUCH_LUN : reset(unit);
      }
      case TARGET_WARM_RESET, TARGET_COLD_RESET -> resetAll();
      case TASK_REASSIGN -> REASSIGN_NOT_SUPPORTED;
      default -> NOT_SUPPORTED;
    };
  }

  private @Nullable NexusUnit unit(long lunField) {
    return ScsiTasks.lunIsSingleLevel(lunField) ? session.unit(ScsiTasks.lun(lunField)) : null;
  }

  private int abort(Predicate<Task> which) throws IOException {
    int waiting = pending.abort(which, out);
    int running = workers.abort(which, WAIT_LIMIT_MILLIS);
    return running < 0 ? -1 : waiting + running;
  }

  private int reset(NexusUnit unit) throws IOException {
    if (abort(task -> task.unit == unit) < 0) {
      return REJECTED;
    }
    return unit.device().reset(WAIT_LIMIT_MILLIS) ? COMPLETE : REJECTED;
  }

  private int resetAll() throws IOException {
    Target target = session.target();
    if (target == null) {
      return NOT_SUPPORTED;
    }
    if (abort(task -> true) < 0) {
      return REJECTED;
    }
    for (DeviceServer device : target.devices()) {
      if (!device.reset(WAIT_LIMIT_MILLIS)) {
        return REJECTED;
      }
    }
    return COMPLETE;
  }
}
