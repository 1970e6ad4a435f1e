package io.malleable.image;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.image.BootReport.Verdict;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Drives that somebody made to do harm, and storage that fails: bounded, and never called good. */
final class HostileDriveTest {
  private static final int ROOT_OFFSET = 12288 * 512;
  private static final int ROUNDS = 400;

  @TempDir Path directory;

  private DebianDrive drive;

  @BeforeEach
  void lookAtAWholeDrive() {
    drive = new DebianDrive(directory);
  }

  /** A drive in memory. */
  private static final class Bytes implements DriveContent {
    private final byte[] bytes;

    Bytes(byte[] bytes) {
      this.bytes = bytes;
    }

    @Override
    public long sizeBytes() {
      return bytes.length;
    }

    @Override
    public void read(long offsetBytes, ByteBuffer destination) {
      destination.put(bytes, (int) offsetBytes, destination.remaining());
    }
  }

  private static Budget budget(long maxInflatedBytes) {
    return new Budget(Duration.ofMinutes(5), maxInflatedBytes, System::nanoTime);
  }

  private static List<String> codes(BootReport report) {
    return report.findings().stream().map(Finding::code).toList();
  }

  /** Metadata is where the harm is: the table, the FAT, and the first blocks of the root. */
  @Test
  void randomDamageIsAFindingAndNeverACrash() throws Exception {
    drive.mke2fs = List.of("-t", "ext4", "-b", "1024");
    byte[] whole = Files.readAllBytes(drive.build());
    long seed = System.nanoTime();
    Random random = new Random(seed);
    int changed = 0;
    for (int round = 0; round < ROUNDS; round++) {
      byte[] damaged = whole.clone();
      int from = List.of(0, 4096 * 512, ROOT_OFFSET, ROOT_OFFSET).get(random.nextInt(4));
      int range = List.of(1024, 64 << 10, 512 << 10).get(random.nextInt(3));
      for (int i = 0; i <= random.nextInt(200); i++) {
        damaged[from + random.nextInt(range)] = (byte) random.nextInt();
      }
      BootReport report;
      try {
        report = BootCheck.check(new Bytes(damaged), Optional.empty(), budget(64 << 20));
      } catch (RuntimeException | StackOverflowError e) {
        throw new AssertionError("seed " + seed + ", round " + round, e);
      }
      changed += report.findings().size() > 1 ? 1 : 0;
    }
    assertTrue(changed > ROUNDS / 10, "only " + changed + " of the damages showed");
  }

  @Test
  void linksThatGoRoundInACircleLeadNowhere() throws Exception {
    DebianDrive.text(drive.root, "loop->", "/loop/loop");
    DebianDrive.text(drive.root, "up->", "../../../up");
    DebianDrive.text(drive.root, "boot/grub/grub.cfg", "linux /loop/vmlinuz\ninitrd /up\nboot\n");
    BootReport report = drive.check();
    assertEquals(Verdict.BLOCKED, report.verdict());
    assertTrue(codes(report).contains("KERNEL_MISSING"), report.toString());
  }

  @Test
  void decompressionBombIsNotUnpacked() throws Exception {
    drive.initramfs.put("bomb", new byte[48 << 20]);
    BootReport report =
        BootCheck.check(
            new Bytes(Files.readAllBytes(drive.build())), Optional.empty(), budget(16 << 20));
    assertEquals(Verdict.UNKNOWN, report.verdict());
    assertTrue(codes(report).contains("INITRAMFS_UNREADABLE"), report.toString());
    assertTrue(report.toString().contains("unpacks to more than 16 MiB"), report.toString());
  }

  @Test
  void archiveThatClaimsMoreThanThereIsIsDamaged() throws Exception {
    String header =
        "070701"
            + "00000001"
            + "000081a4"
            + "00000000".repeat(4)
            + "fffffff0"
            + "00000000".repeat(4)
            + "00000005"
            + "00000000";
    DebianDrive.text(drive.root, "boot/initrd.img-" + DebianDrive.KERNEL, header + "init\0\0");
    BootReport report = drive.check();
    assertTrue(codes(report).contains("INITRAMFS_BROKEN"), report.toString());
  }

  /** A compressor's header that asks for a dictionary of 128 MiB; xz -9 has one of 64 MiB. */
  @Test
  void dictionaryThatIsTooLargeIsNotAllocated() throws Exception {
    byte[] header = HexFormat.of().parseHex("5d00000008" + "ff".repeat(8) + "00".repeat(64));
    drive.root.put("boot/initrd.img-" + DebianDrive.KERNEL, header);
    BootReport report = drive.check();
    assertEquals(Verdict.UNKNOWN, report.verdict());
    assertTrue(report.toString().contains("MiB of memory to unpack"), report.toString());
  }

  @Test
  void initramfsThatIsCompressedTwiceIsDamagedAsForTheKernel() throws Exception {
    drive.compressor = List.of("sh", "-c", "gzip -c | gzip -c");
    BootReport report = drive.check();
    assertTrue(codes(report).contains("INITRAMFS_BROKEN"), report.toString());
  }

  @Test
  void nameOfNothingButSlashesIsRead() throws Exception {
    String archive =
        "070701"
            + "00000001"
            + "000041ed"
            + "00000000".repeat(9)
            + "00000fff"
            + "00000000"
            + "/".repeat(4094)
            + "\0\0\0\0";
    Initramfs initramfs = Initramfs.empty(budget(1 << 20), path -> false);
    byte[] bytes = archive.getBytes(StandardCharsets.US_ASCII);
    assertThrows(DamagedException.class, () -> initramfs.add(new ByteArrayInputStream(bytes)));
    assertEquals(Set.of(""), initramfs.paths());
  }

  /** What goes round in pages that are in memory reads nothing from the drive. */
  @Test
  void readsOfTheSamePageTakeTimeToo() throws Exception {
    AtomicLong nanos = new AtomicLong();
    Budget budget = new Budget(Duration.ofNanos(100), 0, nanos::incrementAndGet);
    Drive same = Drive.of(new Bytes(new byte[512]), budget);
    assertThrows(
        CheckTimeoutException.class,
        () -> {
          for (int i = 0; i < 1000; i++) {
            same.read(0, 4);
          }
        });
  }

  @Test
  void checkThatTakesTooLongEndsAndSaysSo() throws Exception {
    byte[] whole = Files.readAllBytes(drive.build());
    AtomicLong nanos = new AtomicLong();
    Budget budget =
        new Budget(
            Duration.ofSeconds(80),
            Budget.MAX_INFLATED_BYTES,
            () -> nanos.addAndGet(Duration.ofSeconds(30).toNanos()));
    BootReport report = BootCheck.check(new Bytes(whole), Optional.empty(), budget);
    assertEquals(Verdict.UNKNOWN, report.verdict());
    assertTrue(codes(report).contains("CHECK_TOO_LONG"), report.toString());
  }

  @Test
  void storageThatFailsAtAnyReadIsNoFinding() throws Exception {
    byte[] incompressible = new byte[2 << 20];
    new Random(1).nextBytes(incompressible);
    drive.initramfs.put("filler", incompressible);
    Bytes whole = new Bytes(Files.readAllBytes(drive.build()));
    for (int good = 0; ; good++) {
      FailingAfter storage = new FailingAfter(whole, good);
      try {
        BootReport report = BootCheck.check(storage, Optional.empty());
        assertEquals(Verdict.BOOTS, report.verdict(), "after " + good + " reads: " + report);
        assertTrue(good > 20, "only " + good + " reads were made");
        return;
      } catch (IOException e) {
        assertEquals(FailingAfter.MESSAGE, e.getMessage());
      }
    }
  }

  /** Storage that breaks after so many reads. */
  private static final class FailingAfter implements DriveContent {
    static final String MESSAGE = "the drive below is broken";

    private final DriveContent below;
    private int left;

    FailingAfter(DriveContent below, int reads) {
      this.below = below;
      this.left = reads;
    }

    @Override
    public long sizeBytes() {
      return below.sizeBytes();
    }

    @Override
    public void read(long offsetBytes, ByteBuffer destination) throws IOException {
      if (left-- <= 0) {
        throw new IOException(MESSAGE);
      }
      below.read(offsetBytes, destination);
    }
  }

  @Test
  void tinyFilesAreNoDrives() throws Exception {
    for (int size : List.of(0, 1, 511, 512, 513, 4096)) {
      BootReport report = BootCheck.check(new Bytes(new byte[size]), Optional.empty());
      assertEquals(List.of("NOT_A_DRIVE"), codes(report), "size " + size);
    }
  }
}
