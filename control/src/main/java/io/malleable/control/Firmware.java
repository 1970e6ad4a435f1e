package io.malleable.control;

import java.util.Locale;

/** What starts a machine before its operating system does. */
public enum Firmware {
  BIOS,
  UEFI;

  public String word() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** Reads {@code bios} or {@code uefi}. */
  public static Firmware parse(String text) {
    return switch (text.toLowerCase(Locale.ROOT)) {
      case "bios" -> BIOS;
      case "uefi" -> UEFI;
      default ->
          throw ControlException.ofField(
              ErrorCode.FIELD_INVALID,
              "firmware",
              text,
              "'" + text + "' is not a kind of firmware.",
              "Use bios or uefi.");
    };
  }
}
