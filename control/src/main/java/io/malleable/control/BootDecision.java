package io.malleable.control;

/** What a machine that asks for its boot script shall be told. */
public sealed interface BootDecision {
  /**
   * Boot from this target.
   *
   * @param phoneHomeToken for {@code /phone-home/TOKEN}
   */
  record Provisioned(
      Node node,
      java.util.UUID disk,
      String target,
      int lun,
      String initiator,
      ChapCredentials chap,
      String phoneHomeToken)
      implements BootDecision {
    @Override
    public String toString() {
      return "Provisioned[node=" + node.name() + ", disk=" + disk + "]";
    }
  }

  /** The node is known; nothing is provisioned on it. */
  record NotProvisioned(Node node) implements BootDecision {}

  /** Ask again in a moment: the drive is being prepared or moved. */
  record NotYet(Node node, String reason) implements BootDecision {}

  /** No node has this MAC. */
  record Unknown(MacAddress mac) implements BootDecision {}
}
