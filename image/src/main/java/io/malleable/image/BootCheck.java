package io.malleable.image;

import java.io.IOException;
import java.time.Duration;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Looks inside a drive and says what would stop it from booting over iSCSI: a loader that firmware
 * finds, a kernel, an initramfs that logs in by the iBFT, and a system that leaves its NIC alone.
 * Everything is read as it lies on the drive, nothing of it is run or mounted, and what a hostile
 * drive can make this cost is bounded.
 */
public final class BootCheck {
  private static final Duration LIMIT = Duration.ofSeconds(80);

  private final Drive drive;
  private final Optional<BootFirmware> wanted;
  private final Budget budget;
  private final Findings findings = new Findings();
  private Set<BootFirmware> firmware = EnumSet.noneOf(BootFirmware.class);
  private String system = "";
  private String kernel = "";

  private BootCheck(DriveContent content, Optional<BootFirmware> wanted, Budget budget) {
    this.budget = budget;
    this.drive = Drive.of(content, budget);
    this.wanted = wanted;
  }

  /**
   * Checks a drive; takes a second or two, and at most 80 s.
   *
   * @param wanted firmware that it must boot with; absent when either will do
   * @throws IOException when its bytes cannot be read; bytes that make no sense are a finding
   */
  public static BootReport check(DriveContent content, Optional<BootFirmware> wanted)
      throws IOException {
    return check(content, wanted, new Budget(LIMIT, Budget.MAX_INFLATED_BYTES, System::nanoTime));
  }

  static BootReport check(DriveContent content, Optional<BootFirmware> wanted, Budget budget)
      throws IOException {
    try {
      return new BootCheck(content, wanted, budget).run();
    } catch (StorageException e) {
      throw e.failure();
    }
  }

  private BootReport run() throws IOException {
    try {
      lookAt(Inspected.of(drive));
    } catch (DamagedException e) {
      findings.blocks(
          "DAMAGED",
          "Something on the drive makes no sense: " + e.getMessage() + ".",
          "What boots from it meets the same.",
          "Download or build the image again; fsck finds damage in a file system.");
    } catch (UnreadableException e) {
      findings.unknown(
          "CANNOT_LOOK_INSIDE",
          "Part of the drive was not read: " + e.getMessage() + ".",
          "What was not read was not checked.",
          "Boot the image once and look: m2 node explain NODE.");
    } catch (CheckTimeoutException e) {
      findings.unknown(
          "CHECK_TOO_LONG",
          "The check was ended: " + e.getMessage() + ".",
          "What was not read was not checked.",
          "Try again when the server or its storage has less to do.");
    }
    return new BootReport(firmware, system, kernel, findings.worstFirst());
  }

  private void lookAt(Inspected inspected) throws IOException {
    for (String damage : inspected.table().damages()) {
      findings.blocks(
          "PARTITION_TABLE",
          damage,
          "Firmware and system do not find their partitions.",
          "Download, copy or build the image again.");
    }
    if (hasNothing(inspected)) {
      findings.blocks(
          "NOT_A_DRIVE",
          "There is neither a partition table nor a file system.",
          "No firmware finds anything to boot here.",
          "Import the image of a whole drive.");
      return;
    }
    firmware = new LoaderCheck(inspected, findings).check(wanted);
    Optional<DriveArea> root = inspected.system();
    if (root.isPresent()) {
      system = SystemCheck.name(root.get().files().orElseThrow());
    }
    Optional<MenuCheck.Choice> choice = new MenuCheck(inspected, findings).check();
    Optional<Initramfs> initramfs = Optional.empty();
    List<String> commandLine = List.of();
    if (choice.isPresent()) {
      BootEntry entry = choice.get().entry();
      commandLine = entry.arguments();
      root = rootOf(inspected, entry, root);
      initramfs = checkKernel(inspected, choice.get(), root);
    }
    if (root.isPresent()) {
      checkSystem(inspected, root.get(), commandLine, initramfs);
    } else if (inspected.closed().isEmpty()) {
      findings.blocks(
          "SYSTEM_MISSING",
          "No file system on the drive holds a system.",
          "There is nothing to start after the kernel.",
          "Import the image of a whole drive.");
    }
  }

  private static boolean hasNothing(Inspected inspected) {
    return inspected.table().kind() == PartitionTable.Kind.NONE
        && inspected.areas().stream().allMatch(area -> area.type().isEmpty());
  }

  /** The root that the command line names, else what looks like one. */
  private static Optional<DriveArea> rootOf(
      Inspected inspected, BootEntry entry, Optional<DriveArea> looksLikeIt) throws IOException {
    String root = entry.argument("root");
    if (root.isEmpty()) {
      return looksLikeIt;
    }
    Optional<DriveArea> named = inspected.named(root);
    return named.isPresent() ? named : looksLikeIt;
  }

  private Optional<Initramfs> checkKernel(
      Inspected inspected, MenuCheck.Choice choice, Optional<DriveArea> root) throws IOException {
    KernelCheck check = new KernelCheck(inspected, choice, findings);
    kernel = check.checkKernel();
    check.checkCommandLine();
    if (choice.entry().kernel().contains("$")) {
      return Optional.empty();
    }
    Optional<Initramfs> initramfs = check.unpack(budget, InitramfsCheck::reads);
    if (initramfs.isPresent()) {
      String rootType = root.map(DriveArea::type).orElse("");
      new InitramfsCheck(initramfs.get(), choice.entry(), builtIns(root), findings)
          .check(kernel, rootType);
    }
    return initramfs;
  }

  private String builtIns(Optional<DriveArea> root) throws IOException {
    if (kernel.isEmpty() || root.isEmpty() || root.get().files().isEmpty()) {
      return "";
    }
    return Inspected.text(root.get().files().get(), "/lib/modules/" + kernel + "/modules.builtin");
  }

  private void checkSystem(
      Inspected inspected, DriveArea root, List<String> commandLine, Optional<Initramfs> initramfs)
      throws IOException {
    if (root.files().isEmpty()) {
      MenuCheck.cannotLook(root, "The root file system is on it.", findings);
      return;
    }
    FileSystem files = root.files().get();
    if (files instanceof Ext ext && ext.needsRecovery()) {
      findings.warning(
          "NOT_UNMOUNTED",
          "The file system on " + root.partition().name() + " was in use when the image was taken.",
          "Each machine repairs it when it boots, and files may be older here than they will be then.",
          "Shut the system down before its drive is made an image, or run e2fsck -p on it.");
    }
    SystemCheck system = new SystemCheck(inspected, files, findings);
    system.checkMounts();
    boolean staysBehind =
        initramfs
            .flatMap(i -> i.text("init"))
            .filter(text -> text.matches("(?s).*\\biscsid\\b.*"))
            .isPresent();
    system.checkRecovery(staysBehind);
    system.checkIdentity();
    new NetworkCheck(files, findings).check();
    new CloudInitCheck(files, commandLine, findings).check();
  }
}
