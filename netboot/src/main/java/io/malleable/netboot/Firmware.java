package io.malleable.netboot;

/** How a machine was started, as it says itself. */
public enum Firmware {
  BIOS,
  UEFI,
  UNKNOWN;

  /** Translates iPXE's {@code ${platform}}. */
  static Firmware ofPlatform(String platform) {
    return switch (platform) {
      case "pcbios" -> BIOS;
      case "efi" -> UEFI;
      default -> UNKNOWN;
    };
  }
}
