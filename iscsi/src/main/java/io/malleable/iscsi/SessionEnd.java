package io.malleable.iscsi;

/**
 * How a session ended.
 *
 * @param detail for people; never holds a secret
 */
public record SessionEnd(Cause cause, String detail) {
  public enum Cause {
    /** The initiator logged out. */
    LOGOUT,
    /** The connection broke or was closed without a logout. */
    CONNECTION_LOST,
    /** The initiator broke the protocol. */
    PROTOCOL_ERROR,
    /** The initiator did not answer a ping, take data or complete a PDU in time. */
    TIMEOUT,
    /** The same initiator port logged in anew (RFC 7143 6.3.5). */
    REINSTATED,
    /** A task management request reset the target. */
    RESET,
    /** The target was withdrawn. */
    WITHDRAWN,
    /** The server closed. */
    SERVER_CLOSED,
    /** A fault of this server; the log has more. */
    FAILURE
  }
}
