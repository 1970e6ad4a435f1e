package io.malleable.iscsi;

import java.util.concurrent.atomic.AtomicInteger;

/**
 * ExpCmdSN and MaxCmdSN of a session (RFC 7143 4.2.2.1). The window shrinks by the tasks that are
 * outstanding, which bounds them; it never moves backwards.
 */
final class CommandWindow {
  private final int depth;
  private final AtomicInteger outstanding = new AtomicInteger();

  /** Written by the connection thread. */
  private volatile int expCmdSn;

  /** Written under the lock of the outbound half. */
  private volatile int maxCmdSn;

  CommandWindow(int firstCmdSn, int depth) {
    this.depth = depth;
    this.expCmdSn = firstCmdSn;
    this.maxCmdSn = firstCmdSn + depth - 1;
  }

  int expCmdSn() {
    return expCmdSn;
  }

  /** The value to tell the initiator now. */
  int advertise() {
    int candidate = expCmdSn + depth - 1 - outstanding.get();
    if (candidate - maxCmdSn > 0) {
      maxCmdSn = candidate;
    }
    return maxCmdSn;
  }

  /**
   * Takes a command's number.
   *
   * @return false when the command lies outside of the window and must be ignored
   * @throws ProtocolException a number was left out: on the one connection that a session has,
   *     nothing can fill the gap any more
   */
  boolean admit(int cmdSn, boolean immediate) throws ProtocolException {
    // Serial number arithmetic, RFC 1982.
    int ahead = cmdSn - expCmdSn;
    if (immediate) {
      return true;
    }
    if (ahead < 0 || cmdSn - maxCmdSn > 0) {
      return false;
    }
    if (ahead > 0) {
      throw new ProtocolException("CmdSN " + cmdSn + " arrived where " + expCmdSn + " was due");
    }
    expCmdSn = cmdSn + 1;
    return true;
  }

  void taskRetained() {
    outstanding.incrementAndGet();
  }

  void taskEnded() {
    outstanding.decrementAndGet();
  }
}
