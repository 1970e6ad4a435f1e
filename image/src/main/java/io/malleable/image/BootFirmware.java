package io.malleable.image;

/** What looks for a loader on the drive. */
public enum BootFirmware {
  BIOS,
  UEFI
}
