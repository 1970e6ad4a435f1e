package io.malleable.hardware;

/** What starts a machine before its operating system does. */
public enum Firmware {
  BIOS,
  UEFI
}
