package io.malleable.app;

import io.malleable.control.ControlException;
import io.malleable.control.ErrorCode;
import io.malleable.control.Node;
import io.malleable.control.Power;
import io.malleable.hardware.BmcAddress;
import io.malleable.hardware.BmcAddressException;
import io.malleable.hardware.Firmware;
import io.malleable.hardware.NodeConsole;
import io.malleable.hardware.PowerDriver;
import io.malleable.hardware.PowerDrivers;
import java.util.Optional;

/** The control plane's power drivers and consoles, by the address of a node's BMC. */
final class PowerFromHardware implements Power {
  private final PowerDrivers drivers;

  PowerFromHardware(PowerDrivers drivers) {
    this.drivers = drivers;
  }

  @Override
  public void checkAddress(String bmc) {
    try {
      BmcAddress.parse(bmc);
    } catch (BmcAddressException e) {
      throw ControlException.ofField(
          ErrorCode.BMC_INVALID, e.field(), e.value(), e.getMessage(), e.remedy());
    }
  }

  @Override
  public boolean isAutomatic(Node node) {
    return !(BmcAddress.parse(node.bmc().orElse(null)) instanceof BmcAddress.None);
  }

  @Override
  public PowerDriver driver(Node node) {
    return drivers.driver(node.bmc().orElse(null), Firmware.valueOf(node.firmware().name()));
  }

  Optional<NodeConsole> console(Node node) {
    return drivers.console(node.id(), node.bmc().orElse(null));
  }
}
