package io.malleable.image;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Whether firmware finds a loader on the drive, and that finds its menu. */
final class LoaderCheck {
  private static final int BOOT_CODE_BYTES = 440;
  private static final int GRUB_KERNEL_SECTOR = 0x5c;
  private static final int SECTOR_BYTES = 512;
  private static final int MAX_LOADER_BYTES = 8 << 20;
  private static final int PE_OFFSET = 0x3c;
  private static final String REMOVABLE = "/EFI/BOOT";

  private final Inspected drive;
  private final Findings findings;

  LoaderCheck(Inspected drive, Findings findings) {
    this.drive = drive;
    this.findings = findings;
  }

  /** Why one kind of firmware does not get on. */
  private record Obstacle(String code, String what, String why, String fix) {}

  /**
   * Checks both kinds of firmware.
   *
   * @param wanted the one that must work; absent when either will do
   * @return those that find a loader
   */
  Set<BootFirmware> check(Optional<BootFirmware> wanted) throws IOException {
    Map<BootFirmware, Obstacle> obstacles = new EnumMap<>(BootFirmware.class);
    bios().ifPresent(obstacle -> obstacles.put(BootFirmware.BIOS, obstacle));
    uefi().ifPresent(obstacle -> obstacles.put(BootFirmware.UEFI, obstacle));
    boolean hasNone = obstacles.size() == BootFirmware.values().length;
    obstacles.forEach((firmware, obstacle) -> {
      if (hasNone || wanted.filter(w -> w == firmware).isPresent()) {
        findings.blocks(obstacle.code(), obstacle.what(), obstacle.why(), obstacle.fix());
      } else if (wanted.isEmpty()) {
        findings.warning(obstacle.code(), obstacle.what(), obstacle.why(), obstacle.fix());
      }
    });
    Set<BootFirmware> found = EnumSet.allOf(BootFirmware.class);
    found.removeAll(obstacles.keySet());
    return found;
  }

  private Optional<Obstacle> bios() throws IOException {
    ByteBuffer boot = drive.drive().head(SECTOR_BYTES);
    byte[] code = new byte[BOOT_CODE_BYTES];
    boot.get(0, code);
    boolean isBlank = new String(code, StandardCharsets.ISO_8859_1).chars().allMatch(c -> c == 0);
    if (isBlank || (boot.getShort(510) & 0xffff) != 0xaa55) {
      return Optional.of(
          new Obstacle(
              "BIOS_LOADER_MISSING",
              "The first sector holds no boot code.",
              "A machine with BIOS firmware gets no further than the firmware's login.",
              "Install GRUB for BIOS into the image: grub-install --target=i386-pc, with a BIOS boot"
                  + " partition of 1 MiB on a GPT drive."));
    }
    if (!new String(code, StandardCharsets.ISO_8859_1).contains("GRUB")) {
      findings.note(
          "BIOS_LOADER_UNKNOWN",
          "The boot code in the first sector is not GRUB's.",
          "Whether it finds the rest of its loader was not checked.");
      return Optional.empty();
    }
    long sector = boot.getLong(GRUB_KERNEL_SECTOR);
    if (sector > 0 && sector < drive.drive().sizeBytes() / SECTOR_BYTES) {
      byte[] core = new byte[SECTOR_BYTES];
      drive.drive().read(sector * SECTOR_BYTES, SECTOR_BYTES).get(core);
      // GRUB's diskboot.S prints this, whatever its version.
      if (new String(core, StandardCharsets.ISO_8859_1).contains("loading")) {
        return Optional.empty();
      }
    }
    return Optional.of(
        new Obstacle(
            "BIOS_LOADER_BROKEN",
            "GRUB's boot code goes on at sector " + sector + ", where its core image is not.",
            "A machine with BIOS firmware stops with an error of GRUB.",
            "Install GRUB into the image again: grub-install --target=i386-pc."));
  }

  private Optional<Obstacle> uefi() throws IOException {
    List<DriveArea> systems =
        drive.areas().stream().filter(area -> area.partition().isEfiSystem()).toList();
    if (systems.isEmpty()) {
      return Optional.of(
          new Obstacle(
              "EFI_PARTITION_MISSING",
              "There is no EFI system partition.",
              "A machine with UEFI firmware finds no loader.",
              "Make a FAT partition of that type, and: grub-install --target=x86_64-efi --removable."));
    }
    DriveArea system = systems.getFirst();
    if (system.files().isEmpty()) {
      return Optional.of(
          new Obstacle(
              "EFI_PARTITION_UNREADABLE",
              "The EFI system partition, "
                  + system.partition().name()
                  + ", holds no readable FAT file system"
                  + (system.obstacle().isEmpty() ? "." : ": " + system.obstacle() + "."),
              "A machine with UEFI firmware finds no loader.",
              "Format it with mkfs.vfat, and: grub-install --target=x86_64-efi --removable."));
    }
    return loader(system.files().get());
  }

  private Optional<Obstacle> loader(FileSystem files) throws IOException {
    Optional<byte[]> loader = files.read(REMOVABLE + "/BOOTX64.EFI", MAX_LOADER_BYTES);
    if (loader.isEmpty()) {
      if (files.find(REMOVABLE + "/BOOTAA64.EFI").isPresent()) {
        findings.note(
            "ARM64_LOADER",
            "The loader for UEFI is one for arm64.",
            "The drive boots machines of that architecture only.");
        return Optional.empty();
      }
      List<String> vendors = files.list("/EFI").stream().filter(n -> !n.equals("boot")).toList();
      return Optional.of(
          new Obstacle(
              "EFI_LOADER_MISSING",
              "The EFI system partition has no EFI/BOOT/BOOTX64.EFI"
                  + (vendors.isEmpty()
                      ? "."
                      : ", only EFI/" + Findings.quoted(String.join(", EFI/", vendors)) + "."),
              "Firmware that has never seen this drive looks nowhere else.",
              "Run in the image: grub-install --target=x86_64-efi --removable"
                  + " (Debian: set grub2/force_efi_extra_removable)."));
    }
    if (!isProgram(loader.get())) {
      return Optional.of(
          new Obstacle(
              "EFI_LOADER_BROKEN",
              "EFI/BOOT/BOOTX64.EFI is not a program for x86-64 UEFI.",
              "A machine with UEFI firmware does not start it.",
              "Install it again: grub-install --target=x86_64-efi --removable."));
    }
    return chain(files, new String(loader.get(), StandardCharsets.ISO_8859_1));
  }

  private static boolean isProgram(byte[] bytes) {
    if (bytes.length < 512 || bytes[0] != 'M' || bytes[1] != 'Z') {
      return false;
    }
    ByteBuffer file = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    int header = file.getInt(PE_OFFSET);
    return header > 0
        && header < bytes.length - 6
        && file.getInt(header) == 0x4550
        && (file.getShort(header + 4) & 0xffff) == 0x8664;
  }

  /** What the loader in the removable path starts or reads next. */
  private Optional<Obstacle> chain(FileSystem files, String loader) throws IOException {
    boolean isShim = loader.contains("UEFI shim");
    String next = loader;
    if (isShim) {
      Optional<byte[]> grub = files.read(REMOVABLE + "/grubx64.efi", MAX_LOADER_BYTES);
      boolean hasFallback = files.find(REMOVABLE + "/fbx64.efi").isPresent();
      if (grub.isEmpty() && !hasFallback) {
        return Optional.of(
            new Obstacle(
                "EFI_LOADER_BROKEN",
                "EFI/BOOT/BOOTX64.EFI is shim, and neither grubx64.efi nor fbx64.efi is beside it.",
                "A machine with UEFI firmware stops at shim.",
                "Install both: grub-install --target=x86_64-efi --removable."));
      }
      next = grub.map(b -> new String(b, StandardCharsets.ISO_8859_1)).orElse("");
    }
    return grubConfig(files, next);
  }

  /** A signed GRUB reads {@code EFI/<vendor>/grub.cfg}, which says where the menu is. */
  private Optional<Obstacle> grubConfig(FileSystem files, String grub) throws IOException {
    for (String vendor : files.list("/EFI")) {
      String path = "/EFI/" + vendor + "/grub.cfg";
      GrubConfig config = GrubConfig.parse(Inspected.text(files, path));
      String device = config.device();
      boolean isUsed = vendor.equals("boot") || grub.contains("/EFI/" + vendor);
      if (isUsed && !device.isEmpty() && drive.named(device).isEmpty()) {
        return Optional.of(
            new Obstacle(
                "EFI_CONFIG_BROKEN",
                "%s on the EFI system partition looks for %s, which is not on this drive."
                    .formatted(Findings.quoted(path.substring(1)), Findings.quoted(device)),
                "GRUB stops at its prompt on a machine with UEFI firmware.",
                "Run in the image: grub-install --target=x86_64-efi --removable."));
      }
    }
    if (grub.contains("/EFI/debian") && files.find("/EFI/debian/grub.cfg").isEmpty()) {
      return Optional.of(
          new Obstacle(
              "EFI_CONFIG_BROKEN",
              "GRUB for UEFI looks for EFI/debian/grub.cfg, which is not there.",
              "GRUB stops at its prompt on a machine with UEFI firmware.",
              "Run in the image: grub-install --target=x86_64-efi --removable."));
    }
    return Optional.empty();
  }
}
