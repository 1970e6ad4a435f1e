package io.malleable.image;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * A small drive laid out as Debian's, put together by the programs that make real ones (sfdisk,
 * mke2fs, mtools, cpio, zstd). Its kernel and loaders are only headers. Tests take parts away.
 */
final class DebianDrive {
  static final String KERNEL = "6.1.0-40-amd64";
  static final String UUID = "5b1c1f0e-8a58-4d7f-9f6f-0d8f2f0c1a11";

  private static final int MIB = 1 << 20;
  private static final int SECTOR_BYTES = 512;
  private static final int CORE_LBA = 2048;
  private static final int ESP_LBA = 4096;
  private static final int ESP_SECTORS = 8192;
  private static final int ROOT_LBA = 12288;
  private static final int DRIVE_MIB = 24;
  private static final int ROOT_SECTORS = DRIVE_MIB * 2048 - ROOT_LBA - 2048;

  /** Files of the root file system; one that ends with {@code ->} is a link to its content. */
  final Map<String, byte[]> root = new TreeMap<>();

  final Map<String, byte[]> initramfs = new TreeMap<>();
  final Map<String, byte[]> esp = new TreeMap<>();
  String commandLine = "root=UUID=" + UUID + " ro console=ttyS0,115200";
  List<String> compressor = List.of("zstd", "-q", "-c");
  List<String> mke2fs = List.of("-t", "ext4");
  boolean hasBootCode = true;
  boolean hasMicrocode = true;

  private final Path directory;

  DebianDrive(Path directory) {
    this.directory = directory;
    text(root, "usr/lib/os-release", "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n");
    text(root, "etc/os-release->", "../usr/lib/os-release");
    text(root, "sbin->", "usr/sbin");
    text(root, "lib->", "usr/lib");
    text(root, "bin->", "usr/bin");
    text(root, "usr/sbin/init->", "/lib/systemd/systemd");
    text(root, "usr/lib/systemd/systemd", "ELF");
    text(root, "usr/sbin/iscsid", "ELF");
    text(root, "etc/fstab", "UUID=" + UUID + " / ext4 defaults 0 1\n");
    text(root, "etc/machine-id", "");
    text(root, "etc/iscsi/iscsid.conf", "node.session.timeo.replacement_timeout = -1\n");
    text(
        root,
        "etc/systemd/system/sysinit.target.wants/iscsid.service->",
        "/lib/systemd/system/iscsid.service");
    text(root, "usr/bin/cloud-init", "#!/usr/bin/python3\n");
    text(root, "etc/cloud/cloud.cfg", "users:\n - default\n");
    text(root, "etc/cloud/cloud.cfg.d/99-network.cfg", "network: {config: disabled}\n");
    text(root, "usr/lib/modules/" + KERNEL + "/modules.builtin", "kernel/lib/crc32.ko\n");
    root.put("boot/vmlinuz-" + KERNEL, kernel());
    for (String module :
        List.of(
            "drivers/scsi/iscsi_tcp",
            "drivers/scsi/libiscsi_tcp",
            "drivers/scsi/libiscsi",
            "drivers/scsi/scsi_transport_iscsi",
            "drivers/firmware/iscsi_ibft",
            "drivers/scsi/sd_mod",
            "drivers/net/virtio_net",
            "drivers/net/ethernet/intel/igb/igb",
            "fs/ext4/ext4")) {
      text(initramfs, "usr/lib/modules/" + KERNEL + "/kernel/" + module + ".ko", "ELF");
    }
    text(initramfs, "init", "#!/bin/sh\n. /scripts/functions\n");
    text(initramfs, "scripts/functions", "log() { :; }\n");
    text(initramfs, "scripts/local-top/iscsi", "iscsistart -b\n");
    text(initramfs, "conf/initramfs.conf", "MODULES=most\n");
    text(initramfs, "etc/iscsi.initramfs", "ISCSI_AUTO=true\n");
    text(initramfs, "usr/sbin/iscsistart", "ELF");
    esp.put("EFI/BOOT/BOOTX64.EFI", efiProgram());
  }

  static void text(Map<String, byte[]> files, String path, String content) {
    files.put(path, content.getBytes(StandardCharsets.UTF_8));
  }

  /** The drive as a raw file. */
  Path build() throws Exception {
    if (!root.containsKey("boot/grub/grub.cfg")) {
      text(root, "boot/grub/grub.cfg", grubConfig());
    }
    if (!root.containsKey("boot/initrd.img-" + KERNEL)) {
      root.put("boot/initrd.img-" + KERNEL, packed());
    }
    Path drive = directory.resolve("drive.raw");
    try (FileChannel file =
        FileChannel.open(drive, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      file.write(ByteBuffer.wrap(new byte[] {0}), (long) DRIVE_MIB * MIB - 1);
    }
    feed(
        """
        label: gpt
        first-lba: 34
        start=%d, size=2048, type=21686148-6449-6E6F-744E-656564454649
        start=%d, size=%d, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B
        start=%d, size=%d, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, name=root
        """
            .formatted(CORE_LBA, ESP_LBA, ESP_SECTORS, ROOT_LBA, ROOT_SECTORS),
        "sfdisk",
        "-q",
        drive.toString());
    if (hasBootCode) {
      writeBootCode(drive);
    }
    makeEfiPartition(drive);
    makeRoot(drive);
    return drive;
  }

  BootReport check() throws Exception {
    return check(build(), Optional.empty());
  }

  static BootReport check(Path drive, Optional<BootFirmware> firmware) throws IOException {
    try (FileChannel channel = FileChannel.open(drive)) {
      return BootCheck.check(DriveContent.of(channel), firmware);
    }
  }

  private String grubConfig() {
    return """
    set default="0"
    insmod ext2
    if [ x$feature_platform_search_hint = xy ]; then
      search --no-floppy --fs-uuid --set=root --hint-bios=hd0,gpt3 %1$s
    else
      search --no-floppy --fs-uuid --set=root %1$s
    fi
    menuentry 'Debian GNU/Linux' --class debian $menuentry_id_option 'gnulinux-simple' {
      load_video
      insmod gzio
      search --no-floppy --fs-uuid --set=root %1$s
      echo 'Loading Linux ...'
      linux /boot/vmlinuz-%2$s %3$s
      initrd /boot/initrd.img-%2$s
    }
    submenu 'Advanced options' {
      menuentry 'old' {
        linux /boot/vmlinuz-old root=/dev/vda1
        initrd /boot/initrd.img-old
      }
    }
    """
        .formatted(UUID, KERNEL, commandLine);
  }

  /** Microcode as it is, then the rest compressed: what update-initramfs makes. */
  private byte[] packed() throws Exception {
    Path main = archive("main", initramfs);
    byte[] compressed = output(main, compressor.toArray(String[]::new));
    if (!hasMicrocode) {
      return compressed;
    }
    Map<String, byte[]> early = new TreeMap<>();
    text(early, "kernel/x86/microcode/GenuineIntel.bin", "microcode");
    byte[] first = Files.readAllBytes(archive("early", early));
    return ByteBuffer.allocate(first.length + compressed.length).put(first).put(compressed).array();
  }

  private Path archive(String name, Map<String, byte[]> files) throws Exception {
    Path tree = directory.resolve(name);
    write(tree, files);
    TreeSet<String> names = new TreeSet<>();
    try (var paths = Files.walk(tree)) {
      paths.forEach(path -> names.add(tree.relativize(path).toString()));
    }
    names.remove("");
    Path archive = directory.resolve(name + ".cpio");
    Process process =
        new ProcessBuilder("cpio", "--quiet", "-o", "-H", "newc")
            .directory(tree.toFile())
            .redirectOutput(archive.toFile())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    try (var in = process.getOutputStream()) {
      in.write((String.join("\n", names) + "\n").getBytes(StandardCharsets.UTF_8));
    }
    succeeded(process, "cpio");
    return archive;
  }

  private static void write(Path tree, Map<String, byte[]> files) throws IOException {
    for (var file : files.entrySet()) {
      boolean isLink = file.getKey().endsWith("->");
      Path path = tree.resolve(file.getKey().replace("->", ""));
      Files.createDirectories(path.getParent());
      if (isLink) {
        Files.createSymbolicLink(
            path, Path.of(new String(file.getValue(), StandardCharsets.UTF_8)));
      } else {
        Files.write(path, file.getValue());
      }
    }
  }

  private void makeRoot(Path drive) throws Exception {
    Path tree = directory.resolve("root");
    Files.createDirectories(tree);
    write(tree, root);
    Path partition = directory.resolve("root.img");
    List<String> command = new ArrayList<>(List.of("mke2fs", "-q", "-F"));
    command.addAll(mke2fs);
    command.addAll(
        List.of("-U", UUID, "-d", tree.toString(), partition.toString(), ROOT_SECTORS / 2 + "k"));
    feed("", command.toArray(String[]::new));
    put(partition, drive, ROOT_LBA);
  }

  private void makeEfiPartition(Path drive) throws Exception {
    Path partition = directory.resolve("esp.img");
    Files.write(partition, new byte[ESP_SECTORS * SECTOR_BYTES]);
    feed("", "mformat", "-i", partition.toString(), "-v", "EFI", "::");
    Path tree = directory.resolve("esp");
    write(tree, esp);
    if (Files.isDirectory(tree.resolve("EFI"))) {
      feed("", "mcopy", "-s", "-i", partition.toString(), tree.resolve("EFI").toString(), "::");
    }
    put(partition, drive, ESP_LBA);
  }

  private static void put(Path part, Path drive, long lba) throws IOException {
    try (FileChannel in = FileChannel.open(part);
        FileChannel out = FileChannel.open(drive, StandardOpenOption.WRITE)) {
      out.position(lba * SECTOR_BYTES);
      long at = 0;
      while (at < in.size()) {
        at += in.transferTo(at, in.size() - at, out);
      }
    }
  }

  private static void writeBootCode(Path drive) throws IOException {
    ByteBuffer code = ByteBuffer.allocate(440).order(ByteOrder.LITTLE_ENDIAN);
    code.put(0, new byte[] {(byte) 0xeb, 0x63});
    code.putLong(0x5c, CORE_LBA);
    code.put(0x180, "GRUB \0Geom".getBytes(StandardCharsets.US_ASCII));
    ByteBuffer core = ByteBuffer.allocate(SECTOR_BYTES);
    core.put(0x100, "loading\0".getBytes(StandardCharsets.US_ASCII));
    try (FileChannel file = FileChannel.open(drive, StandardOpenOption.WRITE)) {
      file.write(code, 0);
      file.write(core, (long) CORE_LBA * SECTOR_BYTES);
    }
  }

  /** The setup header of a bzImage with its version, and nothing to run. */
  private static byte[] kernel() {
    ByteBuffer kernel = ByteBuffer.allocate(16 << 10).order(ByteOrder.LITTLE_ENDIAN);
    kernel.putInt(0x202, 0x53726448);
    kernel.putShort(0x20e, (short) 0x1000);
    kernel.put(
        0x1200, (KERNEL + " (debian-kernel@lists.debian.org)").getBytes(StandardCharsets.US_ASCII));
    return kernel.array();
  }

  private static byte[] efiProgram() {
    ByteBuffer program = ByteBuffer.allocate(4096).order(ByteOrder.LITTLE_ENDIAN);
    program.put(0, new byte[] {'M', 'Z'});
    program.putInt(0x3c, 0x80);
    program.putInt(0x80, 0x4550);
    program.putShort(0x84, (short) 0x8664);
    return program.array();
  }

  private static byte[] output(Path input, String... command) throws Exception {
    Process process =
        new ProcessBuilder(command)
            .redirectInput(input.toFile())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    byte[] output = process.getInputStream().readAllBytes();
    succeeded(process, String.join(" ", command));
    return output;
  }

  static String feed(String input, String... command) throws Exception {
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().merge("PATH", ":/usr/sbin:/sbin", String::concat);
    builder.environment().put("MTOOLS_SKIP_CHECK", "1");
    Process process = builder.start();
    try (var in = process.getOutputStream()) {
      in.write(input.getBytes(StandardCharsets.UTF_8));
    }
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new IOException(String.join(" ", command) + ": " + output);
    }
    return output;
  }

  private static void succeeded(Process process, String what) throws Exception {
    if (process.waitFor() != 0) {
      throw new IOException(what + " ended with " + process.exitValue());
    }
  }
}
