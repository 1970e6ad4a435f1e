package io.malleable.lab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The image itself; whether it boots is for the boot tests to say. */
class TinyImageTest {
  private static final int SECTOR_BYTES = 512;
  private static final long CORE_IMAGE_LBA = 2048;
  private static final long EFI_LBA = 4096;
  private static final long ROOT_LBA = 20480;

  @TempDir Path directory;

  @Test
  void imageHasBothBootLoadersAndACleanFileSystemOfRoot() throws Exception {
    Path image = build(new ArrayList<>());
    assertEquals(128L << 20, Files.size(image));

    ByteBuffer boot = read(image, 0, SECTOR_BYTES);
    assertEquals((short) 0xaa55, boot.getShort(510), "the BIOS takes it for bootable");
    assertEquals(CORE_IMAGE_LBA, boot.getLong(0x5c), "boot.img knows where core.img is");
    ByteBuffer core = read(image, CORE_IMAGE_LBA * SECTOR_BYTES, SECTOR_BYTES);
    assertEquals(CORE_IMAGE_LBA + 1, core.getLong(0x1f4), "core.img knows where it goes on");

    String loaders =
        output("mdir", "-b", "-i", image + "@@" + EFI_LBA * SECTOR_BYTES, "::/EFI/BOOT");
    assertTrue(loaders.contains("BOOTX64.EFI"), loaders);

    Path root = directory.resolve("root.ext4");
    output("dd", "if=" + image, "of=" + root, "bs=512", "skip=" + ROOT_LBA, "conv=sparse");
    output("e2fsck", "-fn", root.toString());
    String kernel = output("debugfs", "-R", "stat /boot/vmlinuz", root.toString());
    assertTrue(kernel.matches("(?s).*User:\\s+0\\s+Group:\\s+0.*"), kernel);
  }

  @Test
  void secondBuildIsTheFirstOne() throws Exception {
    Path image = build(new ArrayList<>());
    List<String> steps = new ArrayList<>();
    assertEquals(image, build(steps));
    assertEquals(List.of("7/7 already built"), steps);
  }

  @Test
  void missingProgramIsNamedWithItsPackageAndTheCommandThatInstallsIt() throws Exception {
    Path bin = Files.createDirectory(directory.resolve("bin"));
    for (String program : List.of("bash", "dirname", "uname", "cat")) {
      Files.createSymbolicLink(bin.resolve(program), which(program));
    }
    TinyImage image =
        new TinyImage(directory.resolve("cache"), Map.of("PATH", bin.toString(), "HOME", "/"));
    IOException e = assertThrows(IOException.class, () -> image.build((_, _, _) -> {}));
    String message = String.valueOf(e.getMessage());
    assertTrue(message.contains("install them as root: apt-get install"), message);
    assertTrue(message.contains("mtools"), message);
  }

  @Test
  void brokenPackageInTheCacheIsFetchedAgain() throws Exception {
    Path cache = directory.resolve("cache");
    Path packages = Files.createDirectories(cache.resolve("packages"));
    build(new ArrayList<>());
    Path original = TinyImage.defaultCache(System.getenv()).resolve("packages");
    try (var debs = Files.newDirectoryStream(original, "*.deb")) {
      for (Path deb : debs) {
        Path copy = packages.resolve(deb.getFileName());
        Files.copy(deb, copy, StandardCopyOption.REPLACE_EXISTING);
        if (copy.getFileName().toString().startsWith("busybox_")) {
          Files.write(copy, new byte[] {1}, StandardOpenOption.TRUNCATE_EXISTING);
        }
      }
    }
    Path image = new TinyImage(cache, System.getenv()).build((_, _, _) -> {});
    assertTrue(Files.size(image) > 0);
  }

  /** In the user's own cache: what these tests and the boot tests share need not be built twice. */
  private static Path build(List<String> steps) throws IOException {
    return new TinyImage(TinyImage.defaultCache(System.getenv()), System.getenv())
        .build((step, of, text) -> steps.add(step + "/" + of + " " + text));
  }

  private static ByteBuffer read(Path file, long offsetBytes, int lengthBytes) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(lengthBytes).order(ByteOrder.LITTLE_ENDIAN);
    try (FileChannel channel = FileChannel.open(file)) {
      assertEquals(lengthBytes, channel.read(buffer, offsetBytes));
    }
    return buffer;
  }

  private static Path which(String program) {
    for (String each : List.of("/bin", "/usr/bin")) {
      if (Files.isExecutable(Path.of(each, program))) {
        return Path.of(each, program);
      }
    }
    throw new AssertionError(program + " is not installed");
  }

  private static String output(String... command) throws Exception {
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().merge("PATH", ":/usr/sbin:/sbin", String::concat);
    Process process = builder.start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), String.join(" ", command) + ":\n" + output);
    return output;
  }
}
