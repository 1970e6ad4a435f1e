package io.malleable.hardware;

import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.HexFormat;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** An IPMI 2.0 BMC. */
final class IpmiBmc implements Bmc {
  private static final Logger LOG = System.getLogger(IpmiBmc.class.getName());

  private static final Pattern BOOT_FLAGS =
      Pattern.compile("Boot parameter data: ([0-9a-fA-F]{10,})");

  /** IPMI 2.0, table 28-14, parameter 5, data 1: the flags count; they are meant for UEFI. */
  private static final int FLAGS_VALID = 0x80;

  private static final int FLAGS_UEFI = 0x20;

  /** The same, data 2, bits 5:2: the device; 0001b is the network. */
  private static final int DEVICE_MASK = 0x3c;

  private static final int DEVICE_PXE = 0x04;

  private final IpmiTool tool;
  private final Firmware firmware;

  IpmiBmc(IpmiTool tool, Firmware firmware) {
    this.tool = tool;
    this.firmware = firmware;
  }

  @Override
  public String name() {
    return tool.name();
  }

  @Override
  public PowerState powerState() throws IOException {
    String answer = tool.run("chassis", "power", "status");
    if (answer.contains("Chassis Power is on")) {
      return PowerState.ON;
    }
    return answer.contains("Chassis Power is off") ? PowerState.OFF : PowerState.UNKNOWN;
  }

  @Override
  public void powerOn() throws IOException {
    tool.run("chassis", "power", "on");
  }

  @Override
  public void powerOff() throws IOException {
    tool.run("chassis", "power", "off");
  }

  @Override
  public void bootFromNetworkOnce() throws IOException {
    if (firmware == Firmware.UEFI) {
      tool.run("chassis", "bootdev", "pxe", "options=efiboot");
    } else {
      tool.run("chassis", "bootdev", "pxe");
    }
    Matcher flags = BOOT_FLAGS.matcher(tool.run("chassis", "bootparam", "get", "5"));
    if (!flags.find()) {
      LOG.log(Level.WARNING, "{0} does not show its boot flags, so they are unverified", name());
      return;
    }
    byte[] data = HexFormat.of().parseHex(flags.group(1).substring(0, 10));
    if ((data[1] & DEVICE_MASK) != DEVICE_PXE) {
      throw new PowerException(
          PowerException.Kind.NOT_APPLIED,
          "the BMC " + name() + " accepted network boot but shows boot flags " + flags.group(1),
          "set network boot first in the firmware's own boot order");
    }
    // Many BMCs take the device and lose these two bits; the device is what the firmware acts on.
    int wanted = FLAGS_VALID | (firmware == Firmware.UEFI ? FLAGS_UEFI : 0);
    if ((data[0] & wanted) != wanted) {
      LOG.log(Level.DEBUG, "{0} shows incomplete boot flags {1}", name(), flags.group(1));
    }
  }
}
