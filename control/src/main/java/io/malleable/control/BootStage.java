package io.malleable.control;

import java.util.Locale;

/** Stages of one boot as seen from the server, in the order they come. */
public enum BootStage {
  POWER_ON,
  DHCP_DISCOVER,
  DHCP_OFFER,
  DHCP_REQUEST,
  DHCP_ACK,
  TFTP,
  BOOT_SCRIPT,
  FIRMWARE_LOGIN,
  FIRST_READ,
  OS_LOGIN,
  FIRST_WRITE,
  READY;

  public String word() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  boolean isBeforeScript() {
    return compareTo(BOOT_SCRIPT) < 0 && this != POWER_ON;
  }
}
