package io.malleable.image;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.function.Predicate;

/** The kernel, its command line, and whether its initramfs can be unpacked. */
final class KernelCheck {
  private static final int HEAD_BYTES = 32 << 10;
  private static final int HEADER_MAGIC = 0x202; // Documentation/arch/x86/boot.rst of Linux
  private static final int VERSION_POINTER = 0x20e;
  private static final int MAX_VERSION_CHARS = 64;

  private final Inspected drive;
  private final MenuCheck.Choice choice;
  private final Findings findings;

  KernelCheck(Inspected drive, MenuCheck.Choice choice, Findings findings) {
    this.drive = drive;
    this.choice = choice;
    this.findings = findings;
  }

  /** Its version, such as 6.1.0-40-amd64; empty when that is not known. */
  String checkKernel() throws IOException {
    String path = choice.entry().kernel();
    if (path.contains("$")) {
      findings.unknown(
          "KERNEL_UNKNOWN",
          "Which kernel boots is only known when the loader runs: " + Findings.quoted(path) + ".",
          "Nothing that depends on it could be checked.",
          "Name the kernel plainly in grub.cfg, or boot the image once and look.");
      return "";
    }
    Optional<byte[]> head = choice.files().read(path, HEAD_BYTES);
    if (head.isEmpty()) {
      findings.blocks(
          "KERNEL_MISSING",
          "The boot menu names the kernel %s, which is not on %s."
              .formatted(Findings.quoted(path), choice.area().name()),
          "The loader stops.",
          "Install a kernel and run update-grub in the image.");
      return "";
    }
    ByteBuffer bytes = ByteBuffer.wrap(head.get()).order(ByteOrder.LITTLE_ENDIAN);
    boolean isX86 = head.get().length > 0x260 && bytes.getInt(HEADER_MAGIC) == 0x53726448;
    boolean isOtherEfi = head.get().length > 0x40 && bytes.getShort(0) == 0x5a4d;
    if (!isX86 && !isOtherEfi) {
      findings.blocks(
          "KERNEL_BROKEN",
          "%s is not a Linux kernel.".formatted(Findings.quoted(path)),
          "The loader stops.",
          "Install the kernel again.");
    }
    return isX86 ? version(bytes) : "";
  }

  private static String version(ByteBuffer bytes) {
    int at = (bytes.getShort(VERSION_POINTER) & 0xffff) + 0x200;
    if (at == 0x200 || at + MAX_VERSION_CHARS > bytes.limit()) {
      return "";
    }
    byte[] text = new byte[MAX_VERSION_CHARS];
    bytes.get(at, text);
    String version = new String(text, StandardCharsets.ISO_8859_1).split("[ \0]", 2)[0];
    return version.matches("[\\w.+~-]+") ? version : "";
  }

  void checkCommandLine() throws IOException {
    String root = choice.entry().argument("root");
    checkRoot(root);
    boolean hasSerial =
        choice.entry().arguments().stream()
            .anyMatch(word -> word.startsWith("console=ttyS") || word.startsWith("console=ttyAMA"));
    if (!hasSerial) {
      findings.note(
          "NO_SERIAL_CONSOLE",
          "The kernel's command line has no console=ttyS0.",
          "m2 node console shows nothing once the loader has gone.");
    }
  }

  private void checkRoot(String root) throws IOException {
    if (root.isEmpty()) {
      // An initramfs of its own kind may know by itself; InitramfsCheck says when it does not.
      return;
    }
    if (root.matches("/dev/(vd|nvme|xvd|hd|mmcblk|sr)\\w+")) {
      findings.blocks(
          "ROOT_DEVICE_NAME",
          "The kernel's command line says root=" + Findings.quoted(root) + ".",
          "A drive behind iSCSI never has that name.",
          "Use root=UUID=... : leave GRUB_DISABLE_LINUX_UUID unset and run update-grub in the image.");
      return;
    }
    if (root.matches("/dev/sd\\w+")) {
      findings.warning(
          "ROOT_DEVICE_NAME",
          "The kernel's command line says root=" + Findings.quoted(root) + ".",
          "It is another drive on a machine that has drives of its own, and may change from boot to boot.",
          "Use root=UUID=... : leave GRUB_DISABLE_LINUX_UUID unset and run update-grub in the image.");
      return;
    }
    if (Inspected.isName(root) && drive.lacks(root)) {
      findings.blocks(
          "ROOT_MISSING",
          "The kernel's command line says root=%s, and nothing on this drive is called that."
              .formatted(Findings.quoted(root)),
          "The initramfs waits for it in vain.",
          "Run update-grub in the image after its file systems got their final UUIDs and labels.");
    }
  }

  /** What the initramfs files of the entry hold; absent when there is nothing to go on with. */
  Optional<Initramfs> unpack(Budget budget, Predicate<String> keeps) throws IOException {
    if (choice.entry().initrds().isEmpty()) {
      findings.blocks(
          "INITRAMFS_MISSING",
          "The boot menu loads a kernel without an initramfs.",
          "Nothing logs in to the drive before the root file system is needed.",
          "Make one with open-iscsi in it (update-initramfs -c -k all) and run update-grub.");
      return Optional.empty();
    }
    Initramfs initramfs = Initramfs.empty(budget, keeps);
    for (String path : choice.entry().initrds()) {
      Optional<FileSystem.Entry> entry = choice.files().find(path);
      if (entry.isEmpty() || !entry.get().isFile()) {
        findings.blocks(
            "INITRAMFS_MISSING",
            "The boot menu names the initramfs %s, which is not on %s."
                .formatted(Findings.quoted(path), choice.area().name()),
            "The loader stops.",
            "Make it (update-initramfs -c -k all) and run update-grub in the image.");
        return Optional.empty();
      }
      try (InputStream in = choice.files().open(entry.get())) {
        initramfs.add(in);
      } catch (DamagedException e) {
        findings.blocks(
            "INITRAMFS_BROKEN",
            "The initramfs %s cannot be read: %s.".formatted(Findings.quoted(path), e.getMessage()),
            "The kernel cannot unpack it either.",
            "Make it again: update-initramfs -u -k all.");
        return Optional.empty();
      } catch (UnreadableException e) {
        findings.unknown(
            "INITRAMFS_UNREADABLE",
            "The initramfs %s was not read: %s.".formatted(Findings.quoted(path), e.getMessage()),
            "Whether it logs in to the drive is not known.",
            "Compress it with zstd (COMPRESS=zstd in initramfs.conf), or boot the image once and look.");
        return Optional.empty();
      }
    }
    return Optional.of(initramfs);
  }
}
