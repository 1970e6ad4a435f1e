package io.malleable.iscsi;

import java.io.IOException;

/**
 * The one table from what a logical unit throws to sense data. Failures are logged: they are ours,
 * not the initiator's.
 */
final class Failures {
  private static final int PERSISTENT_RESERVE_OUT = 0x5f;
  private static final System.Logger LOG = System.getLogger(Failures.class.getName());
  private static final FailureLog READ_FAILED = log("a read failed: medium error");
  private static final FailureLog WRITE_FAILED = log("a write failed: medium error");
  private static final FailureLog SAVE_FAILED = log("persistent reservations could not be saved");
  private static final FailureLog HELD_BACK =
      log("a write waits for space in the store: answered BUSY");
  private static final FailureLog OUT_OF_SPACE = log("a write failed: out of space");

  /** By the class of the exception: one fault must not hide another. */
  private static final ClassValue<FailureLog> FAULTS =
      new ClassValue<>() {
        @Override
        protected FailureLog computeValue(Class<?> exception) {
          return Failures.log("a command failed for a fault in this program");
        }
      };

  private Failures() {}

  /** How a command ends that failed in the store or by a fault. */
  static ScsiException of(Task task, Exception e) {
    CommandSpec spec = task.spec();
    boolean full = e instanceof OutOfSpaceException space && space.mayPass() && spec.writesMedium();
    if (full && task.device().fullStore().holdsBack()) {
      HELD_BACK.log(e);
      return new BusyException();
    }
    return of(spec, e).asException();
  }

  private static SenseData of(CommandSpec spec, Exception e) {
    if (spec.opcode() == PERSISTENT_RESERVE_OUT && e instanceof IOException) {
      // Not the medium: where the reservations are kept.
      return logged(SAVE_FAILED, SenseData.INTERNAL_FAILURE, e);
    }
    return spec.writesMedium() ? whileWriting(e) : whileReading(e);
  }

  static SenseData whileReading(Exception e) {
    return e instanceof RuntimeException
        ? bug(e)
        : logged(READ_FAILED, SenseData.UNRECOVERED_READ, e);
  }

  private static SenseData whileWriting(Exception e) {
    if (e instanceof OutOfSpaceException) {
      return logged(OUT_OF_SPACE, SenseData.SPACE_ALLOCATION_FAILED, e);
    }
    return e instanceof RuntimeException ? bug(e) : logged(WRITE_FAILED, SenseData.WRITE_ERROR, e);
  }

  private static SenseData bug(Exception e) {
    return logged(FAULTS.get(e.getClass()), SenseData.INTERNAL_FAILURE, e);
  }

  private static SenseData logged(FailureLog log, SenseData sense, Exception e) {
    log.log(e);
    return sense;
  }

  private static FailureLog log(String what) {
    return new FailureLog(LOG, what, System::nanoTime);
  }
}
