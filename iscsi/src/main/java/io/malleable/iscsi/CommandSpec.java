package io.malleable.iscsi;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Set;

/**
 * One supported command: how its data moves, who may use it under a reservation, and what it does.
 */
final class CommandSpec {
  private final int opcode;
  private final int serviceAction;
  private final Phase phase;
  private final ReservationAccess access;
  private final byte[] usage;
  private final Step prepare;
  private final Sink sink;
  private final Step action;

  /**
   * All there is to know of a command.
   *
   * @param serviceAction or {@link #NO_SERVICE_ACTION}
   * @param usage CDB usage data for REPORT SUPPORTED OPERATION CODES (SPC-4 6.35.3); its length is
   *     the CDB's
   * @param prepare checks the CDB and sets the range and the transfer length
   * @param sink takes the data of {@link Phase#MEDIUM_WRITE} in pieces of whole blocks, in order
   * @param action everything for the other phases; for MEDIUM_WRITE what follows the last piece
   */
  CommandSpec(
      int opcode,
      int serviceAction,
      Phase phase,
      ReservationAccess access,
      byte[] usage,
      Step prepare,
      Sink sink,
      Step action) {
    this.opcode = opcode;
    this.serviceAction = serviceAction;
    this.phase = phase;
    this.access = access;
    this.usage = usage;
    this.prepare = prepare;
    this.sink = sink;
    this.action = action;
  }

  int opcode() {
    return opcode;
  }

  int serviceAction() {
    return serviceAction;
  }

  Phase phase() {
    return phase;
  }

  ReservationAccess access() {
    return access;
  }

  /** Not to be changed. */
  byte[] usage() {
    return usage;
  }

  Step prepare() {
    return prepare;
  }

  Sink sink() {
    return sink;
  }

  Step action() {
    return action;
  }

  static final int NO_SERVICE_ACTION = -1;

  private static final int WRITE_ATOMIC_16 = 0x9c;

  /** UNMAP, WRITE SAME, COMPARE AND WRITE, WRITE ATOMIC, EXTENDED COPY. */
  private static final Set<Integer> LONG_RUNNING =
      Set.of(0x42, 0x41, 0x93, 0x89, WRITE_ATOMIC_16, 0x83);

  /** Whether its failures are failures to write. */
  boolean writesMedium() {
    return access == ReservationAccess.WRITE;
  }

  /** Whether it is a write that ends durable, with all of its data or none: WRITE ATOMIC(16). */
  boolean atomic() {
    return opcode == WRITE_ATOMIC_16;
  }

  /**
   * Whether it takes long enough on a store across a network to run beside others. A flush does so
   * on every store, see {@link Flusher}.
   */
  boolean dispatchable() {
    return switch (phase) {
      case MEDIUM_READ, MEDIUM_WRITE -> true;
      case PARAMETER_OUT -> LONG_RUNNING.contains(opcode);
      case PARAMETER_IN, NO_DATA -> false;
    };
  }

  enum Phase {
    NO_DATA,
    /** Parameter data to the initiator, built as a whole. */
    PARAMETER_IN,
    /** Parameter data from the initiator, collected as a whole. */
    PARAMETER_OUT,
    /** Blocks to the initiator, streamed. */
    MEDIUM_READ,
    /** Blocks from the initiator, streamed. */
    MEDIUM_WRITE
  }

  /** How a command stands to the reservation of another nexus (SPC-4 table 66, SBC-3 table 13). */
  enum ReservationAccess {
    /** Allowed always. */
    FREE,
    /** Allowed unless access is exclusive. */
    READ,
    /** Conflicts with every reservation of another. */
    WRITE
  }

  @FunctionalInterface
  interface Step {
    void run(Task task) throws ScsiException, IOException;
  }

  @FunctionalInterface
  interface Sink {
    /** The data lies between position and limit and is drained. */
    void accept(Task task, long offsetBytes, ByteBuffer data) throws ScsiException, IOException;
  }
}
