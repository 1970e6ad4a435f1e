package io.malleable.image;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;

/**
 * What somebody's image can hold. In the normal test phase the corpus is replayed; {@code
 * script/fuzz} searches for more. Any exception but the declared ones is a finding.
 */
class ParserFuzzTest {
  private static final List<String> TEXTS =
      List.of(
          "/etc/os-release",
          "/etc/fstab",
          "/etc/iscsi/iscsid.conf",
          "/etc/network/interfaces",
          "/etc/netplan/a.yaml",
          "/etc/systemd/network/a.network",
          "/etc/NetworkManager/NetworkManager.conf",
          "/etc/cloud/cloud.cfg");

  /** Its clock stands still: inputs this small end by themselves. */
  private static Budget budget() {
    return new Budget(Duration.ofSeconds(1), 1 << 20, () -> 0);
  }

  /** A drive in memory. */
  private static final class Content implements DriveContent {
    private final byte[] bytes;

    Content(byte[] bytes) {
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

  /** Partition table, FAT, ext. */
  @FuzzTest(maxDuration = "")
  void drive(byte[] bytes) {
    try {
      BootCheck.check(new Content(bytes), Optional.empty(), budget());
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  @FuzzTest(maxDuration = "")
  void initramfs(byte[] bytes) {
    Initramfs initramfs = Initramfs.empty(budget(), InitramfsCheck::reads);
    try {
      initramfs.add(new ByteArrayInputStream(bytes));
    } catch (DamagedException | UnreadableException expected) {
      // The two ways in which bytes that are no initramfs may end; what came before is looked at.
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
    BootEntry entry = new BootEntry("", "/vmlinuz", List.of(), "root=UUID=1", "");
    new InitramfsCheck(initramfs, entry, "", new Findings()).check("6.1", "ext4");
  }

  @FuzzTest(maxDuration = "")
  void settings(byte[] bytes) {
    String text = new String(bytes, StandardCharsets.UTF_8);
    GrubConfig.parse(text).defaultEntry().ifPresent(BootEntry::arguments);
    LoaderEntries.parse(text);
    MemoryFiles files =
        new MemoryFiles()
            .with("/usr/sbin/ifup", "")
            .with("/usr/sbin/iscsid", "")
            .with("/etc/systemd/system/a.wants/iscsid.service", "")
            .with("/etc/systemd/system/a.wants/systemd-networkd.service", "")
            .with("/etc/systemd/system/a.wants/NetworkManager.service", "");
    TEXTS.forEach(path -> files.with(path, text));
    try {
      Findings findings = new Findings();
      Inspected none = Inspected.of(Drive.of(new Content(new byte[0]), budget()));
      SystemCheck.name(files);
      SystemCheck system = new SystemCheck(none, files, findings);
      system.checkMounts();
      system.checkRecovery(false);
      new NetworkCheck(files, findings).check();
      new CloudInitCheck(files, List.of(), findings).check();
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Bounded and repeatable, for every build; the input is in the message of a failure. */
  @Test
  void mutationsOfTheCorpusFindNothing() throws IOException {
    Random random = new Random(7143);
    for (String method : List.of("drive", "initramfs", "settings")) {
      List<byte[]> corpus = corpus(method);
      for (int i = 0; i < 2000; i++) {
        byte[] input = mutate(corpus.get(random.nextInt(corpus.size())), random);
        try {
          switch (method) {
            case "drive" -> drive(input);
            case "initramfs" -> initramfs(input);
            default -> settings(input);
          }
        } catch (RuntimeException | StackOverflowError e) {
          byte[] start = Arrays.copyOf(input, Math.min(input.length, 4096));
          throw new AssertionError(
              method + ", input " + i + ": " + HexFormat.of().formatHex(start), e);
        }
      }
    }
  }

  private static byte[] mutate(byte[] seed, Random random) {
    byte[] input = Arrays.copyOf(seed, Math.max(0, seed.length + random.nextInt(9) - 4));
    for (int i = 0; i < 1 + random.nextInt(8) && input.length > 0; i++) {
      // Headers are at the beginning: every other change goes there.
      int at = random.nextInt(random.nextBoolean() ? input.length : Math.min(input.length, 1024));
      input[at] =
          switch (random.nextInt(4)) {
            case 0 -> (byte) random.nextInt(256);
            case 1 -> (byte) (input[at] ^ (1 << random.nextInt(8)));
            case 2 -> (byte) 0xff;
            default -> 0;
          };
    }
    return input;
  }

  private static List<byte[]> corpus(String method) throws IOException {
    Path directory = Path.of("src/test/resources/io/malleable/image/ParserFuzzTestInputs", method);
    List<byte[]> inputs = new ArrayList<>();
    try (DirectoryStream<Path> files = Files.newDirectoryStream(directory)) {
      for (Path file : files) {
        inputs.add(Files.readAllBytes(file));
      }
    }
    return inputs;
  }
}
