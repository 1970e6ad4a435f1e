package io.malleable.control;

import io.malleable.hardware.PowerDriver;
import java.io.IOException;

/** Where power drivers come from. */
public interface Power {
  /**
   * Checks a driver's address before a node is stored with it.
   *
   * @throws ControlException BMC_INVALID, field {@code bmc}, saying which forms are known
   */
  void checkAddress(String bmc);

  /** Whether something switches this node; when not, we wait for the machine to show itself. */
  boolean isAutomatic(Node node);

  /** The driver of a node for which {@link #isAutomatic} holds. */
  PowerDriver driver(Node node) throws IOException;
}
