package io.malleable.image;

/**
 * A part of a drive.
 *
 * @param number as the system counts them, from 1; 0 for a file system on the whole drive
 * @param type a GUID in capitals, or two hexadecimal digits
 * @param isActive marked for booting in an MBR
 * @param uuid as in {@code PARTUUID=}; empty when there is none
 * @param label as in {@code PARTLABEL=}; empty when there is none
 */
record Partition(
    int number,
    String type,
    long startBytes,
    long lengthBytes,
    boolean isActive,
    String uuid,
    String label) {
  static final String GPT_BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649";
  static final String GPT_EFI_SYSTEM = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";
  static final String MBR_EFI_SYSTEM = "EF";

  boolean isEfiSystem() {
    return type.equals(GPT_EFI_SYSTEM) || type.equals(MBR_EFI_SYSTEM);
  }

  /** For people. */
  String name() {
    return number == 0 ? "the whole drive" : "partition " + number;
  }
}
