package io.malleable.image;

import java.io.IOException;
import java.util.List;
import java.util.Optional;

/** Finds what the loader boots when nobody chooses, and whether all of that is there. */
final class MenuCheck {
  private static final List<String> GRUB_DIRECTORIES =
      List.of("/boot/grub", "/boot/grub2", "/grub", "/grub2");
  private static final List<String> ENTRY_DIRECTORIES =
      List.of("/loader/entries", "/boot/loader/entries");

  private final Inspected drive;
  private final Findings findings;

  MenuCheck(Inspected drive, Findings findings) {
    this.drive = drive;
    this.findings = findings;
  }

  /**
   * What boots.
   *
   * @param files where kernel and initramfs are
   */
  record Choice(BootEntry entry, FileSystem files, DriveArea area) {}

  Optional<Choice> check() throws IOException {
    Optional<Choice> found = find();
    if (found.isEmpty()) {
      missing();
      return Optional.empty();
    }
    BootEntry entry = found.get().entry();
    if (entry.device().isEmpty()) {
      return found;
    }
    Optional<DriveArea> area = drive.named(entry.device());
    if (area.isEmpty()) {
      findings.blocks(
          "MENU_DEVICE_MISSING",
          "The boot menu looks for %s, which is not on this drive."
              .formatted(Findings.quoted(entry.device())),
          "The loader finds no kernel.",
          "Run update-grub in the image after its file systems got their final UUIDs and labels.");
      return Optional.empty();
    }
    if (area.get().files().isEmpty()) {
      cannotLook(area.get(), "The kernel and its initramfs are on it.");
      return Optional.empty();
    }
    return Optional.of(new Choice(entry, area.get().files().get(), area.get()));
  }

  private Optional<Choice> find() throws IOException {
    for (DriveArea area : drive.areas()) {
      if (area.files().isEmpty()) {
        continue;
      }
      FileSystem files = area.files().get();
      for (String directory : GRUB_DIRECTORIES) {
        String text = Inspected.text(files, directory + "/grub.cfg");
        if (!text.isEmpty()) {
          Optional<BootEntry> entry = ofGrub(files, directory, text);
          if (entry.isPresent()) {
            return Optional.of(new Choice(entry.get(), files, area));
          }
        }
      }
    }
    for (DriveArea area : drive.areas()) {
      if (area.files().isPresent()) {
        FileSystem files = area.files().get();
        Optional<BootEntry> entry = ofFiles(files);
        if (entry.isPresent()) {
          return Optional.of(new Choice(entry.get(), files, area));
        }
      }
    }
    return Optional.empty();
  }

  private static Optional<BootEntry> ofGrub(FileSystem files, String directory, String text)
      throws IOException {
    GrubConfig config = GrubConfig.parse(text);
    Optional<BootEntry> entry = config.defaultEntry();
    if (entry.isPresent() || !config.usesLoaderEntries()) {
      return entry;
    }
    Inspected.text(files, directory + "/grubenv")
        .lines()
        .filter(line -> line.contains("=") && !line.startsWith("#"))
        .limit(50)
        .forEach(line ->
            config.define(
                line.substring(0, line.indexOf('=')), line.substring(line.indexOf('=') + 1)));
    return ofFiles(files)
        .map(found ->
            new BootEntry(
                found.title(),
                found.kernel(),
                found.initrds(),
                config.expand(found.commandLine()),
                ""));
  }

  private static Optional<BootEntry> ofFiles(FileSystem files) throws IOException {
    for (String directory : ENTRY_DIRECTORIES) {
      List<BootEntry> entries = LoaderEntries.read(files, directory);
      if (!entries.isEmpty()) {
        return Optional.of(entries.getFirst());
      }
    }
    return Optional.empty();
  }

  private void missing() throws IOException {
    List<DriveArea> closed = drive.closed();
    for (DriveArea area : drive.areas()) {
      if (area.files().isPresent() && hasUnifiedKernel(area.files().get())) {
        findings.unknown(
            "UNIFIED_KERNEL",
            "The loader starts a unified kernel image, EFI/Linux/*.efi.",
            "What is inside was not looked at: its initramfs may or may not log in to the drive.",
            "Boot it once with a snapshot at hand: m2 node provision NODE --image IMAGE.");
        return;
      }
    }
    if (closed.isEmpty()) {
      findings.blocks(
          "MENU_MISSING",
          "No boot menu was found: neither grub.cfg nor loader/entries/*.conf.",
          "The loader does not know what to boot.",
          "Install GRUB and run update-grub in the image.");
    } else {
      closed.forEach(
          area -> cannotLook(area, "The boot menu, the kernel and its initramfs may be on it."));
    }
  }

  private static boolean hasUnifiedKernel(FileSystem files) throws IOException {
    return files.list("/EFI/Linux").stream().anyMatch(name -> name.endsWith(".efi"));
  }

  private void cannotLook(DriveArea area, String why) {
    cannotLook(area, why, findings);
  }

  static void cannotLook(DriveArea area, String why, Findings findings) {
    boolean isEncrypted = area.type().equals("crypto_LUKS");
    findings.unknown(
        isEncrypted ? "ENCRYPTED" : "CANNOT_LOOK_INSIDE",
        "Cannot look inside "
            + area.name()
            + (isEncrypted ? ": it is encrypted." : ": " + area.obstacle() + "."),
        isEncrypted ? why + " A machine that boots waits for its passphrase at the console." : why,
        isEncrypted
            ? "Use an image without encryption, or one that unlocks itself."
            : "Check by hand, or boot it once and look: m2 node explain NODE.");
  }
}
