package io.malleable.image;

import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Whether an initramfs can find the drive by its iBFT, log in to it, and drive the NIC. */
final class InitramfsCheck {
  private static final Pattern MODULE =
      Pattern.compile("(?:^|/)([^/]+)\\.ko(?:\\.(?:xz|zst|gz))?$");
  private static final Pattern MODULE_VERSION = Pattern.compile("(?:^|/)lib/modules/([^/]+)/");
  static final Pattern AUTO = Pattern.compile("(?m)^[ \\t]*+ISCSI_AUTO=[\"']?\\w");
  private static final Pattern FIRMWARE_WORD =
      Pattern.compile("rd\\.iscsi\\.(firmware|ibft)(=1)?|netroot=iscsi:?|iscsi_firmware");
  private static final List<String> ISCSI_MODULES =
      List.of("iscsi_tcp", "libiscsi_tcp", "libiscsi", "scsi_transport_iscsi", "iscsi_ibft");
  private static final Set<String> VIRTUAL_NICS =
      Set.of("virtio_net", "vmxnet3", "hv_netvsc", "xen_netfront", "ena", "gve", "e1000");
  private static final Set<String> PHYSICAL_NICS =
      Set.of(
          "e1000e",
          "igb",
          "igc",
          "ixgbe",
          "i40e",
          "ice",
          "fm10k",
          "tg3",
          "bnx2",
          "bnx2x",
          "bnxt_en",
          "mlx4_en",
          "mlx5_core",
          "r8169",
          "atlantic",
          "qede",
          "qlcnic",
          "sfc",
          "cxgb4",
          "be2net",
          "enic",
          "hinic",
          "nfp",
          "ionic",
          "hns3");

  /** How it works. */
  private enum Kind {
    INITRAMFS_TOOLS,
    DRACUT,
    OWN
  }

  private final Initramfs initramfs;
  private final BootEntry entry;
  private final Findings findings;
  private final Set<String> modules = new HashSet<>();
  private final boolean knowsBuiltIns;

  /**
   * A check.
   *
   * @param builtIns {@code modules.builtin} of the kernel as the root file system has it; empty
   *     when it is not known
   */
  InitramfsCheck(Initramfs initramfs, BootEntry entry, String builtIns, Findings findings) {
    this.initramfs = initramfs;
    this.entry = entry;
    this.findings = findings;
    initramfs.paths().forEach(this::addModule);
    String own =
        initramfs.keptPaths().stream()
            .filter(path -> path.endsWith("/modules.builtin"))
            .findFirst()
            .flatMap(initramfs::text)
            .orElse("");
    this.knowsBuiltIns = !own.isEmpty() || !builtIns.isEmpty();
    (own + "\n" + builtIns).lines().forEach(this::addModule);
  }

  /** Of which files the check reads the content. */
  static boolean reads(String path) {
    String bare = path.startsWith("usr/") ? path.substring("usr/".length()) : path;
    return bare.equals("init")
        || bare.equals("etc/iscsi.initramfs")
        || bare.equals("conf/initramfs.conf")
        || bare.startsWith("conf/conf.d/")
        || bare.startsWith("etc/cmdline.d/")
        || bare.endsWith("/modules.builtin");
  }

  private void addModule(String path) {
    Matcher matcher = MODULE.matcher(path);
    if (matcher.find()) {
      modules.add(matcher.group(1).replace('-', '_'));
    }
  }

  void check(String kernel, String rootType) {
    if (modules.isEmpty() && !knowsBuiltIns) {
      findings.unknown(
          "MODULES_UNKNOWN",
          "The initramfs holds no kernel modules, and what the kernel has built in is not listed.",
          "Whether it can drive a NIC and speak iSCSI is not known.",
          "Keep lib/modules/VERSION/modules.builtin in the image, or boot it once and look.");
    } else {
      checkVersion(kernel);
      checkDrive(rootType);
      checkNics();
    }
    switch (kind()) {
      case INITRAMFS_TOOLS -> checkInitramfsTools();
      case DRACUT -> checkDracut();
      case OWN -> checkOwn();
    }
    if (kind() != Kind.OWN && entry.argument("root").isEmpty()) {
      findings.blocks(
          "ROOT_MISSING",
          "The kernel's command line has no root=.",
          "The initramfs does not know which file system to start from.",
          "Run update-grub in the image.");
    }
  }

  private Kind kind() {
    if (initramfs.paths().stream().anyMatch(p -> p.contains("lib/dracut"))) {
      return Kind.DRACUT;
    }
    return initramfs.has("scripts/functions") || initramfs.has("conf/initramfs.conf")
        ? Kind.INITRAMFS_TOOLS
        : Kind.OWN;
  }

  private void checkVersion(String kernel) {
    Set<String> versions = new TreeSet<>();
    for (String path : initramfs.paths()) {
      Matcher matcher = MODULE_VERSION.matcher(path);
      if (path.contains(".ko") && matcher.find()) {
        versions.add(matcher.group(1));
      }
    }
    versions.remove("kernel");
    if (!kernel.isEmpty() && !versions.isEmpty() && !versions.contains(kernel)) {
      findings.blocks(
          "MODULES_OF_ANOTHER_KERNEL",
          "The initramfs holds modules for Linux %s, and the menu boots Linux %s."
              .formatted(Findings.quoted(String.join(", ", versions)), Findings.quoted(kernel)),
          "The kernel loads none of them.",
          "Run update-initramfs -u -k all and update-grub in the image.");
    }
  }

  private void checkDrive(String rootType) {
    List<String> missing = ISCSI_MODULES.stream().filter(m -> !modules.contains(m)).toList();
    if (!missing.isEmpty()) {
      findings.blocks(
          "ISCSI_MODULES_MISSING",
          "The initramfs lacks the kernel modules " + String.join(", ", missing) + ".",
          "The firmware reads kernel and initramfs, and then nothing logs in to the drive.",
          "Debian: apt-get install open-iscsi, echo ISCSI_AUTO=true >/etc/iscsi/iscsi.initramfs,"
              + " update-initramfs -u -k all. Fedora: dracut -f --add iscsi.");
    }
    if (!modules.contains("sd_mod")) {
      findings.blocks(
          "DISK_MODULE_MISSING",
          "The initramfs lacks the kernel module sd_mod.",
          "The session comes up without a block device.",
          "Debian: set MODULES=most in /etc/initramfs-tools/initramfs.conf and run"
              + " update-initramfs -u -k all.");
    }
    boolean isExt = rootType.startsWith("ext") && modules.contains("ext4");
    if (!rootType.isEmpty() && !isExt && !modules.contains(rootType) && isModule(rootType)) {
      findings.blocks(
          "FILE_SYSTEM_MODULE_MISSING",
          "The initramfs lacks the kernel module for the root file system, " + rootType + ".",
          "The root file system cannot be mounted.",
          "Debian: set MODULES=most in /etc/initramfs-tools/initramfs.conf and run"
              + " update-initramfs -u -k all.");
    }
  }

  private boolean isModule(String rootType) {
    return knowsBuiltIns && Set.of("ext4", "xfs", "btrfs", "f2fs").contains(rootType);
  }

  private void checkNics() {
    Set<String> physical = new TreeSet<>(PHYSICAL_NICS);
    physical.retainAll(modules);
    Set<String> virtual = new TreeSet<>(VIRTUAL_NICS);
    virtual.retainAll(modules);
    boolean hasOthers =
        initramfs.paths().stream()
            .anyMatch(p -> p.contains("/drivers/net/ethernet/") && p.contains(".ko"));
    if (physical.isEmpty() && virtual.isEmpty() && !hasOthers) {
      findings.blocks(
          "NIC_DRIVERS_MISSING",
          "The initramfs holds no driver for a network card.",
          "The drive is behind the network.",
          "Debian: set MODULES=most in /etc/initramfs-tools/initramfs.conf and run"
              + " update-initramfs -u -k all.");
    } else if (physical.isEmpty() && !hasOthers) {
      findings.warning(
          "NIC_DRIVERS_VIRTUAL_ONLY",
          "Of network cards, the initramfs drives only virtual ones: "
              + String.join(", ", virtual)
              + ".",
          "Real servers need e1000e, igb, ixgbe, i40e, ice, tg3, bnxt_en, mlx5_core or the like.",
          "Debian: install linux-image-amd64 instead of linux-image-cloud-amd64.");
    } else {
      findings.note(
          "NIC_DRIVERS",
          "Network cards that the initramfs drives: "
              + String.join(", ", physical)
              + (virtual.isEmpty() ? "" : "; virtual ones: " + String.join(", ", virtual))
              + ".",
          "A server with another card does not get past its firmware.");
    }
  }

  private boolean hasProgram(String name) {
    return initramfs.paths().stream().anyMatch(p -> p.endsWith("bin/" + name));
  }

  private void checkInitramfsTools() {
    if (!hasProgram("iscsistart") || !initramfs.has("scripts/local-top/iscsi")) {
      findings.blocks(
          "ISCSI_PROGRAM_MISSING",
          "The initramfs has no "
              + (hasProgram("iscsistart") ? "scripts/local-top/iscsi" : "iscsistart")
              + ": it was made without open-iscsi.",
          "Nothing logs in to the drive.",
          "apt-get install open-iscsi, echo ISCSI_AUTO=true >/etc/iscsi/iscsi.initramfs,"
              + " update-initramfs -u -k all.");
      return;
    }
    String settings = initramfs.text("etc/iscsi.initramfs").orElse("");
    if (AUTO.matcher(settings).find() || entry.arguments().contains("iscsi_auto")) {
      return;
    }
    if (settings.contains("ISCSI_TARGET_NAME=") || !entry.argument("iscsi_target_name").isEmpty()) {
      findings.blocks(
          "ISCSI_TARGET_FIXED",
          "The initramfs logs in to one target that is written down in the image.",
          "Every machine has a target of its own, which the firmware names in the iBFT.",
          "Put only ISCSI_AUTO=true into /etc/iscsi/iscsi.initramfs, then update-initramfs -u -k all.");
      return;
    }
    findings.blocks(
        "ISCSI_AUTO_MISSING",
        "The initramfs has open-iscsi and is not told to use the iBFT.",
        "It starts without logging in to the drive.",
        "echo ISCSI_AUTO=true >/etc/iscsi/iscsi.initramfs, then update-initramfs -u -k all;"
            + " or put iscsi_auto on the kernel's command line.");
  }

  private void checkDracut() {
    boolean hasHook = initramfs.paths().stream().anyMatch(p -> p.endsWith("/iscsiroot"));
    if (!hasHook || !(hasProgram("iscsistart") || hasProgram("iscsid"))) {
      findings.blocks(
          "ISCSI_PROGRAM_MISSING",
          "The initramfs was made by dracut without its module iscsi.",
          "Nothing logs in to the drive.",
          "Run in the image: dracut -f --add iscsi --regenerate-all.");
      return;
    }
    StringBuilder all = new StringBuilder(entry.commandLine());
    initramfs.keptPaths().stream()
        .filter(path -> path.contains("etc/cmdline.d/"))
        .forEach(path -> all.append(' ').append(initramfs.text(path).orElse("")));
    List<String> words = ShellWords.split(all.toString());
    boolean usesFirmware = words.stream().anyMatch(word -> FIRMWARE_WORD.matcher(word).matches());
    if (!usesFirmware) {
      findings.blocks(
          "ISCSI_AUTO_MISSING",
          "The kernel's command line does not tell dracut to use the iBFT.",
          "The initramfs starts without logging in to the drive.",
          "Add rd.iscsi.firmware=1 ip=ibft to it: grubby --update-kernel=ALL --args=...");
    } else if (words.stream()
        .noneMatch(w -> w.startsWith("ip=") || w.startsWith("rd.iscsi.ibft"))) {
      findings.warning(
          "IBFT_ADDRESS_UNUSED",
          "The kernel's command line has no ip=ibft.",
          "dracut may bring the network up otherwise than the firmware did, or not at all.",
          "Add ip=ibft to it: grubby --update-kernel=ALL --args=ip=ibft");
    }
  }

  private static boolean isIscsiHook(String path) {
    int slash = path.lastIndexOf('/');
    return slash >= 0
        && path.startsWith("hooks", slash - "hooks".length())
        && path.indexOf("iscsi", slash) >= 0;
  }

  /**
   * Neither of the two that everybody uses: its init must at least call a program of open-iscsi.
   */
  private void checkOwn() {
    // iscsid by itself waits to be told.
    boolean hasProgram = hasProgram("iscsistart") || hasProgram("iscsiadm");
    Optional<String> init = initramfs.text("init");
    boolean isScript = init.filter(text -> text.startsWith("#!")).isPresent();
    boolean calls =
        init.filter(text -> text.contains("iscsistart") || text.contains("iscsiadm")).isPresent()
            || initramfs.paths().stream().anyMatch(InitramfsCheck::isIscsiHook);
    if (!hasProgram || (isScript && !calls)) {
      findings.blocks(
          "ISCSI_PROGRAM_MISSING",
          hasProgram
              ? "The init of the initramfs does not call iscsistart."
              : "The initramfs has no iscsistart.",
          "Nothing logs in to the drive.",
          "Call iscsistart -b in it after the modules are loaded, or use initramfs-tools with"
              + " open-iscsi.");
    } else if (!isScript) {
      findings.unknown(
          "INIT_UNKNOWN",
          "The init of the initramfs is not a script of a known kind.",
          "Whether it logs in to the drive by the iBFT is not known.",
          "Boot the image once and look: m2 node explain NODE.");
    }
  }
}
