package io.malleable.image;

import static java.util.Objects.requireNonNull;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.image.BootReport.Verdict;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.function.Consumer;
import org.apache.commons.compress.compressors.lz4.BlockLZ4CompressorOutputStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class BootCheckTest {
  @TempDir Path directory;

  private DebianDrive drive;

  @BeforeEach
  void lookAtAWholeDrive() {
    drive = new DebianDrive(directory);
  }

  private static List<String> codes(BootReport report, Severity severity) {
    return report.findings().stream()
        .filter(f -> f.severity() == severity)
        .map(Finding::code)
        .toList();
  }

  /** The one finding of a severity, with a part of what it must say. */
  private void finds(Severity severity, String code, String text) throws Exception {
    BootReport report = drive.check();
    assertEquals(List.of(code), codes(report, severity), report.toString());
    Finding found =
        report.findings().stream().filter(f -> f.code().equals(code)).findFirst().orElseThrow();
    assertTrue(found.what().contains(text), found.what());
    assertTrue(!found.fix().isEmpty() || severity == Severity.NOTE, "a fix for " + found.what());
  }

  private void initramfsWithout(String part) {
    drive.initramfs.keySet().removeIf(path -> path.contains(part));
  }

  private static void change(Path file, Consumer<FileChannel> change) throws Exception {
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      change.accept(channel);
    }
  }

  @Test
  void wholeDriveBootsWithBothFirmwares() throws Exception {
    BootReport report = drive.check();
    assertEquals(Verdict.BOOTS, report.verdict());
    assertEquals(Set.of(BootFirmware.BIOS, BootFirmware.UEFI), report.firmware());
    assertEquals("Debian GNU/Linux 12 (bookworm)", report.system());
    assertEquals(DebianDrive.KERNEL, report.kernel());
    assertEquals(List.of("NIC_DRIVERS"), report.findings().stream().map(Finding::code).toList());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"gzip -c", "xz -c --check=crc32", "xz -c --format=lzma", "bzip2 -c", "cat"})
  void initramfsIsReadHoweverItIsCompressed(String compressor) throws Exception {
    drive.compressor = List.of(compressor.split(" "));
    assertEquals(Verdict.BOOTS, drive.check().verdict());
  }

  /** The frame that {@code lz4 -l} writes, which the kernel's build uses. */
  @Test
  void initramfsInLegacyLz4IsRead() throws Exception {
    drive.compressor = List.of("cat");
    drive.hasMicrocode = false;
    drive.build();
    byte[] plain = requireNonNull(drive.root.get("boot/initrd.img-" + DebianDrive.KERNEL));
    ByteArrayOutputStream block = new ByteArrayOutputStream();
    try (OutputStream lz4 = new BlockLZ4CompressorOutputStream(block)) {
      lz4.write(plain);
    }
    ByteBuffer frame = ByteBuffer.allocate(8 + block.size()).order(ByteOrder.LITTLE_ENDIAN);
    frame.putInt(0x184c2102).putInt(block.size()).put(block.toByteArray());
    DebianDrive packed = new DebianDrive(Files.createDirectory(directory.resolve("lz4")));
    packed.root.put("boot/initrd.img-" + DebianDrive.KERNEL, frame.array());
    assertEquals(Verdict.BOOTS, packed.check().verdict());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "-t ext4 -b 1024",
        "-t ext4 -b 4096 -O ^64bit",
        "-t ext3",
        "-t ext2 -I 128",
        "-t ext4 -O ^extent,^64bit"
      })
  void everyFlavourOfExtIsRead(String options) throws Exception {
    drive.mke2fs = List.of(options.split(" "));
    drive.root.put("boot/filler", new byte[3 << 20]);
    assertEquals(Verdict.BOOTS, drive.check().verdict());
  }

  @Test
  void initramfsWithoutMicrocodeIsRead() throws Exception {
    drive.hasMicrocode = false;
    assertEquals(Verdict.BOOTS, drive.check().verdict());
  }

  @Test
  void missingIscsiModulesAreNamed() throws Exception {
    initramfsWithout("scsi_transport_iscsi");
    initramfsWithout("iscsi_ibft");
    finds(Severity.BLOCKS, "ISCSI_MODULES_MISSING", "scsi_transport_iscsi, iscsi_ibft");
  }

  @Test
  void builtInModulesCount() throws Exception {
    initramfsWithout("iscsi_ibft");
    DebianDrive.text(
        drive.root,
        "usr/lib/modules/" + DebianDrive.KERNEL + "/modules.builtin",
        "kernel/drivers/firmware/iscsi_ibft.ko\n");
    assertEquals(Verdict.BOOTS, drive.check().verdict());
  }

  @Test
  void initramfsWithoutOpenIscsiBlocks() throws Exception {
    initramfsWithout("iscsistart");
    finds(Severity.BLOCKS, "ISCSI_PROGRAM_MISSING", "made without open-iscsi");
  }

  @Test
  void openIscsiThatIsNotToldToUseTheIbftBlocks() throws Exception {
    initramfsWithout("etc/iscsi.initramfs");
    finds(Severity.BLOCKS, "ISCSI_AUTO_MISSING", "not told to use the iBFT");
  }

  @Test
  void openIscsiMayBeToldOnTheCommandLine() throws Exception {
    initramfsWithout("etc/iscsi.initramfs");
    drive.commandLine += " iscsi_auto";
    assertEquals(Verdict.BOOTS, drive.check().verdict());
  }

  @Test
  void targetThatIsWrittenDownInTheImageBlocks() throws Exception {
    DebianDrive.text(
        drive.initramfs,
        "etc/iscsi.initramfs",
        "ISCSI_TARGET_NAME=iqn.x\nISCSI_TARGET_IP=192.0.2.1\n");
    finds(Severity.BLOCKS, "ISCSI_TARGET_FIXED", "one target");
  }

  @Test
  void noNicDriverBlocksAndVirtualOnesAloneAreAWarning() throws Exception {
    initramfsWithout("/igb");
    finds(Severity.WARNING, "NIC_DRIVERS_VIRTUAL_ONLY", "virtio_net");
  }

  @Test
  void noNicDriverBlocks() throws Exception {
    initramfsWithout("/net/");
    finds(Severity.BLOCKS, "NIC_DRIVERS_MISSING", "no driver for a network card");
  }

  @Test
  void modulesOfAnotherKernelBlock() throws Exception {
    for (String path : List.copyOf(drive.initramfs.keySet())) {
      drive.initramfs.put(
          path.replace(DebianDrive.KERNEL, "6.1.0-39-amd64"), drive.initramfs.remove(path));
    }
    finds(Severity.BLOCKS, "MODULES_OF_ANOTHER_KERNEL", "6.1.0-39-amd64");
  }

  @Test
  void dracutMustHaveItsModuleAndTheWordOnTheCommandLine() throws Exception {
    initramfsWithout("scripts");
    initramfsWithout("conf");
    DebianDrive.text(drive.initramfs, "usr/lib/dracut/hooks/cmdline/90-parse-iscsiroot.sh", "");
    DebianDrive.text(drive.initramfs, "usr/sbin/iscsiroot", "#!/bin/sh\n");
    finds(Severity.BLOCKS, "ISCSI_AUTO_MISSING", "dracut");
  }

  @Test
  void dracutThatUsesTheIbftBoots() throws Exception {
    initramfsWithout("scripts");
    initramfsWithout("conf");
    DebianDrive.text(drive.initramfs, "usr/lib/dracut/dracut-056", "");
    DebianDrive.text(drive.initramfs, "usr/sbin/iscsiroot", "#!/bin/sh\n");
    DebianDrive.text(drive.initramfs, "etc/cmdline.d/10.conf", "rd.iscsi.firmware=1 ip=ibft\n");
    assertEquals(Verdict.BOOTS, drive.check().verdict());
  }

  @Test
  void missingEfiFileIsAWarningUnlessUefiIsAskedFor() throws Exception {
    drive.esp.put("EFI/debian/grubx64.efi", drive.esp.remove("EFI/BOOT/BOOTX64.EFI"));
    Path built = drive.build();
    BootReport either = DebianDrive.check(built, Optional.empty());
    assertEquals(Verdict.BOOTS, either.verdict());
    assertEquals(Set.of(BootFirmware.BIOS), either.firmware());
    assertEquals(List.of("EFI_LOADER_MISSING"), codes(either, Severity.WARNING));
    assertTrue(either.findings().getFirst().what().contains("debian"), either.toString());
    BootReport uefi = DebianDrive.check(built, Optional.of(BootFirmware.UEFI));
    assertEquals(List.of("EFI_LOADER_MISSING"), codes(uefi, Severity.BLOCKS));
    BootReport bios = DebianDrive.check(built, Optional.of(BootFirmware.BIOS));
    assertEquals(Verdict.BOOTS, bios.verdict());
    assertEquals(List.of(), codes(bios, Severity.WARNING));
  }

  @Test
  void driveWithoutAnyLoaderBlocks() throws Exception {
    drive.esp.clear();
    drive.hasBootCode = false;
    BootReport report = drive.check();
    assertEquals(
        Set.of("BIOS_LOADER_MISSING", "EFI_LOADER_MISSING"),
        Set.copyOf(codes(report, Severity.BLOCKS)));
    assertEquals(Set.of(), report.firmware());
  }

  @Test
  void efiFileThatIsNoProgramIsFound() throws Exception {
    DebianDrive.text(drive.esp, "EFI/BOOT/BOOTX64.EFI", "not a program");
    finds(Severity.WARNING, "EFI_LOADER_BROKEN", "not a program for x86-64");
  }

  @Test
  void shimWithoutItsNextStageIsFound() throws Exception {
    byte[] shim = requireNonNull(drive.esp.get("EFI/BOOT/BOOTX64.EFI")).clone();
    System.arraycopy("UEFI shim".getBytes(StandardCharsets.US_ASCII), 0, shim, 2048, 9);
    drive.esp.put("EFI/BOOT/BOOTX64.EFI", shim);
    finds(Severity.WARNING, "EFI_LOADER_BROKEN", "is shim");
  }

  @Test
  void configurationOfGrubThatLooksForAnotherDriveIsFound() throws Exception {
    DebianDrive.text(
        drive.esp,
        "EFI/BOOT/grub.cfg",
        """
        search.fs_uuid 11111111-2222-3333-4444-555555555555 root hd0,gpt2
        set prefix=($root)'/boot/grub'
        configfile $prefix/grub.cfg
        """);
    finds(Severity.WARNING, "EFI_CONFIG_BROKEN", "11111111-2222");
  }

  @Test
  void grubWhoseCoreImageIsGoneIsFound() throws Exception {
    Path built = drive.build();
    change(built, channel -> write(channel, 2048 * 512, new byte[512]));
    BootReport report = DebianDrive.check(built, Optional.of(BootFirmware.BIOS));
    assertEquals(List.of("BIOS_LOADER_BROKEN"), codes(report, Severity.BLOCKS));
  }

  private static void write(FileChannel channel, long offset, byte[] bytes) {
    try {
      assertEquals(bytes.length, channel.write(ByteBuffer.wrap(bytes), offset));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void rootByTheNameOfAVirtualDriveBlocks() throws Exception {
    drive.commandLine = "root=/dev/vda1 ro console=ttyS0";
    finds(Severity.BLOCKS, "ROOT_DEVICE_NAME", "/dev/vda1");
  }

  @Test
  void rootByTheNameOfAScsiDriveIsAWarning() throws Exception {
    drive.commandLine = "root=/dev/sda3 ro console=ttyS0";
    finds(Severity.WARNING, "ROOT_DEVICE_NAME", "/dev/sda3");
  }

  @Test
  void rootThatIsNotOnTheDriveBlocks() throws Exception {
    drive.commandLine = "root=UUID=11111111-2222-3333-4444-555555555555 ro console=ttyS0";
    finds(Severity.BLOCKS, "ROOT_MISSING", "nothing on this drive");
  }

  @Test
  void missingKernelAndInitramfsBlock() throws Exception {
    drive.root.remove("boot/vmlinuz-" + DebianDrive.KERNEL);
    finds(Severity.BLOCKS, "KERNEL_MISSING", "vmlinuz");
  }

  @Test
  void initramfsThatIsCutOffBlocks() throws Exception {
    Path built = drive.build();
    byte[] whole = requireNonNull(drive.root.get("boot/initrd.img-" + DebianDrive.KERNEL));
    DebianDrive cut = new DebianDrive(Files.createDirectory(directory.resolve("cut")));
    cut.root.put("boot/initrd.img-" + DebianDrive.KERNEL, Arrays.copyOf(whole, whole.length - 200));
    assertTrue(Files.exists(built));
    drive = cut;
    finds(Severity.BLOCKS, "INITRAMFS_BROKEN", "cannot be read");
  }

  @Test
  void emptyKernelBlocks() throws Exception {
    DebianDrive.text(drive.root, "boot/vmlinuz-" + DebianDrive.KERNEL, "");
    finds(Severity.BLOCKS, "KERNEL_BROKEN", "not a Linux kernel");
  }

  @Test
  void missingMenuBlocks() throws Exception {
    DebianDrive.text(drive.root, "boot/grub/grub.cfg", "# nothing\n");
    finds(Severity.BLOCKS, "MENU_MISSING", "No boot menu");
  }

  @Test
  void menuOfLoaderEntriesIsRead() throws Exception {
    DebianDrive.text(drive.root, "boot/grub2/grub.cfg", "insmod blscfg\nblscfg\n");
    DebianDrive.text(drive.root, "boot/grub/grub.cfg", "# not used\n");
    DebianDrive.text(
        drive.root,
        "boot/grub2/grubenv",
        "# GRUB Environment Block\nkernelopts=root=/dev/vda9 ro\n");
    DebianDrive.text(
        drive.root,
        "boot/loader/entries/abc-" + DebianDrive.KERNEL + ".conf",
        "title Fedora\nlinux /boot/vmlinuz-%1$s\ninitrd /boot/initrd.img-%1$s\noptions $kernelopts\n"
            .formatted(DebianDrive.KERNEL));
    finds(Severity.BLOCKS, "ROOT_DEVICE_NAME", "/dev/vda9");
  }

  @Test
  void truncatedDriveIsFoundByItsPartitionTable() throws Exception {
    Path built = drive.build();
    change(built, channel -> truncate(channel, 16 << 20));
    BootReport report = DebianDrive.check(built, Optional.empty());
    assertEquals(Verdict.BLOCKED, report.verdict());
    assertTrue(codes(report, Severity.BLOCKS).contains("PARTITION_TABLE"), report.toString());
    assertTrue(report.findings().getFirst().what().contains("cut off"), report.toString());
  }

  private static void truncate(FileChannel channel, long sizeBytes) {
    try {
      assertEquals(sizeBytes, channel.truncate(sizeBytes).size());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void damagedPartitionTableIsFound() throws Exception {
    Path built = drive.build();
    change(built, channel -> write(channel, 2 * 512 + 32, new byte[] {1, 2, 3, 4, 5, 6, 7, 8}));
    BootReport report = DebianDrive.check(built, Optional.empty());
    assertTrue(codes(report, Severity.BLOCKS).contains("PARTITION_TABLE"), report.toString());
  }

  @Test
  void garbageIsNoDrive() throws Exception {
    Path file = directory.resolve("garbage");
    byte[] garbage = new byte[3 << 20];
    new Random(7).nextBytes(garbage);
    Files.write(file, garbage);
    BootReport report = DebianDrive.check(file, Optional.empty());
    assertEquals(List.of("NOT_A_DRIVE"), codes(report, Severity.BLOCKS));
  }

  @ParameterizedTest
  @ValueSource(strings = {"XFSB", "LUKS\u00ba\u00be"})
  void rootThatCannotBeLookedIntoIsNotTakenForGood(String magic) throws Exception {
    Path built = drive.build();
    change(
        built,
        channel -> {
          write(channel, 12288L * 512, new byte[128 << 10]);
          write(channel, 12288L * 512, magic.getBytes(StandardCharsets.ISO_8859_1));
        });
    BootReport report = DebianDrive.check(built, Optional.empty());
    assertEquals(Verdict.UNKNOWN, report.verdict());
    Finding finding = report.findings().getFirst();
    assertTrue(finding.what().startsWith("Cannot look inside partition 3"), finding.what());
  }

  @Test
  void systemThatReconfiguresItsBootNicIsWarnedOf() throws Exception {
    DebianDrive.text(drive.root, "usr/sbin/ifup", "ELF");
    DebianDrive.text(
        drive.root,
        "etc/network/interfaces",
        "auto lo\niface lo inet loopback\nallow-hotplug ens3\niface ens3 inet dhcp\n");
    finds(Severity.WARNING, "NIC_RECONFIGURED", "ens3 by dhcp");
  }

  @Test
  void networkdWithoutKeepConfigurationIsWarnedOf() throws Exception {
    DebianDrive.text(
        drive.root,
        "etc/systemd/system/multi-user.target.wants/systemd-networkd.service->",
        "/lib/systemd/system/systemd-networkd.service");
    DebianDrive.text(
        drive.root,
        "etc/systemd/network/10-all.network",
        "[Match]\nName=en*\n[Network]\nDHCP=yes\n");
    DebianDrive.text(
        drive.root,
        "etc/systemd/network/20-kept.network",
        "[Match]\nName=en*\n[Network]\nDHCP=yes\nKeepConfiguration=yes\n");
    DebianDrive.text(
        drive.root,
        "usr/lib/systemd/network/80-container-host0.network",
        "[Match]\nVirtualization=container\nName=host0\n[Network]\nDHCP=yes\n");
    DebianDrive.text(
        drive.root,
        "usr/lib/systemd/network/80-container-ve.network",
        "[Match]\nKind=veth\nName=ve-*\n[Network]\nAddress=0.0.0.0/28\n");
    finds(Severity.WARNING, "NIC_RECONFIGURED", "10-all.network");
  }

  @Test
  void systemThatDoesNotLogInAgainIsWarnedOf() throws Exception {
    drive.root.keySet().removeIf(path -> path.endsWith("iscsid.service->"));
    finds(Severity.WARNING, "NO_SESSION_RECOVERY", "not started");
  }

  @Test
  void shortPatienceWithALostSessionIsWarnedOf() throws Exception {
    DebianDrive.text(
        drive.root, "etc/iscsi/iscsid.conf", "node.session.timeo.replacement_timeout = 120\n");
    finds(Severity.WARNING, "SHORT_REPLACEMENT_TIMEOUT", "120 s");
  }

  @Test
  void cloudInitThatIgnoresTheIdentityDriveIsWarnedOf() throws Exception {
    DebianDrive.text(
        drive.root, "etc/cloud/cloud.cfg.d/90_dpkg.cfg", "datasource_list: [ Ec2, None ]\n");
    finds(Severity.WARNING, "CLOUD_INIT_SOURCE", "Ec2");
  }

  @Test
  void cloudInitThatMaySetTheNetworkUpIsNoted() throws Exception {
    drive.root.remove("etc/cloud/cloud.cfg.d/99-network.cfg");
    assertTrue(codes(drive.check(), Severity.NOTE).contains("CLOUD_INIT_NETWORK"));
  }

  @Test
  void identityThatIsBakedInIsWarnedOf() throws Exception {
    DebianDrive.text(drive.root, "etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    DebianDrive.text(drive.root, "etc/ssh/ssh_host_ed25519_key", "secret");
    BootReport report = drive.check();
    assertEquals(List.of("MACHINE_ID", "SSH_HOST_KEYS"), codes(report, Severity.WARNING));
  }

  @ParameterizedTest
  @ValueSource(strings = {"root", "home/debian"})
  void keyThatLogsInToEveryMachineIsWarnedOf(String home) throws Exception {
    String file = home + "/.ssh/authorized_keys";
    DebianDrive.text(drive.root, file, "ssh-ed25519 AAAA operator\n");
    DebianDrive.text(drive.root, "home/empty/.ssh/authorized_keys", "\n");
    finds(Severity.WARNING, "AUTHORIZED_KEYS", "in: '/" + file + "'.");
  }

  @Test
  void mountOfWhatIsNotOnTheDriveBlocks() throws Exception {
    DebianDrive.text(
        drive.root,
        "etc/fstab",
        "UUID=%s / ext4 defaults 0 1\nUUID=ABCD-1234 /boot/efi vfat umask=0077 0 1\n"
            .formatted(DebianDrive.UUID));
    finds(Severity.BLOCKS, "FSTAB_DEVICE_MISSING", "/boot/efi");
  }

  @Test
  void commandLineWithoutSerialConsoleIsNoted() throws Exception {
    drive.commandLine = "root=UUID=" + DebianDrive.UUID;
    BootReport report = drive.check();
    assertTrue(codes(report, Severity.NOTE).contains("NO_SERIAL_CONSOLE"));
  }

  @Test
  void whatADriveSaysReachesNobodyWithControlCharacters() throws Exception {
    drive.commandLine = "root=/dev/vda\u001b[31m console=ttyS0";
    DebianDrive.text(drive.root, "etc/os-release", "PRETTY_NAME=\"Evil\u0007\"\n");
    drive.root.remove("etc/os-release->");
    BootReport report = drive.check();
    assertTrue(report.toString().chars().noneMatch(c -> c < ' '), report.toString());
  }
}
