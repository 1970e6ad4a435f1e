package io.malleable.iscsi;

import java.lang.System.Logger.Level;

/**
 * The one table from what a logical unit throws to sense data. Every failure is logged: it is ours,
 * not the initiator's.
 */
final class Failures {
  private static final System.Logger LOG = System.getLogger(Failures.class.getName());

  private Failures() {}

  static SenseData of(CommandSpec spec, Exception e) {
    return spec.writesMedium() ? whileWriting(e) : whileReading(e);
  }

  static SenseData whileReading(Exception e) {
    return e instanceof RuntimeException
        ? bug(e)
        : logged("a read failed: medium error", SenseData.UNRECOVERED_READ, e);
  }

  private static SenseData whileWriting(Exception e) {
    if (e instanceof OutOfSpaceException) {
      return logged("a write failed: out of space", SenseData.SPACE_ALLOCATION_FAILED, e);
    }
    return e instanceof RuntimeException
        ? bug(e)
        : logged("a write failed: medium error", SenseData.WRITE_ERROR, e);
  }

  private static SenseData bug(Exception e) {
    return logged("a command failed for a fault in this program", SenseData.INTERNAL_FAILURE, e);
  }

  private static SenseData logged(String what, SenseData sense, Exception e) {
    LOG.log(Level.ERROR, what, e);
    return sense;
  }
}
