package io.malleable.volume.imagefile;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.volume.TransferProgress;
import io.malleable.volume.Volume;
import io.malleable.volume.imagefile.ImageException.Reason;
import io.malleable.volume.local.LocalVolumeStore;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ImageImporterTest {
  private static final int MIB = 1 << 20;

  @TempDir Path directory;
  private LocalVolumeStore store;
  private ImageImporter importer;

  @BeforeEach
  void open() throws IOException {
    store = LocalVolumeStore.open(directory.resolve("store"));
    importer = new ImageImporter(store, directory.resolve("staging"), 0);
  }

  @AfterEach
  void close() throws IOException {
    store.close();
  }

  /** A disk with a boot sector, some data and a hole. */
  private byte[] diskContent(int sizeBytes) {
    byte[] content = new byte[sizeBytes];
    byte[] data = new byte[MIB + 700];
    new Random(5).nextBytes(data);
    System.arraycopy(data, 0, content, 0, data.length);
    System.arraycopy(data, 0, content, sizeBytes - data.length, data.length);
    Arrays.fill(content, 446, 510, (byte) 0);
    content[510] = 0x55;
    content[511] = (byte) 0xaa;
    return content;
  }

  private Path rawFile(byte[] content) throws IOException {
    return Files.write(directory.resolve("disk.raw"), content);
  }

  private Path converted(Path raw, String format, String... options) throws Exception {
    Path result = directory.resolve("disk." + format);
    List<String> command =
        new ArrayList<>(List.of("qemu-img", "convert", "-f", "raw", "-O", format));
    command.addAll(List.of(options));
    command.addAll(List.of(raw.toString(), result.toString()));
    run(command.toArray(String[]::new));
    return result;
  }

  private static void run(String... command) throws Exception {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertTrue(process.waitFor(1, TimeUnit.MINUTES));
    assertEquals(0, process.exitValue(), output);
  }

  private byte[] content(UUID id) throws IOException {
    try (Volume volume = store.open(id)) {
      ByteBuffer buffer = ByteBuffer.allocate((int) volume.sizeBytes());
      volume.read(0, buffer);
      return buffer.array();
    }
  }

  private ImageImporter.Imported importFile(Path file) throws IOException {
    return importFile(file, Optional.empty());
  }

  private ImageImporter.Imported importFile(Path file, Optional<String> sha256) throws IOException {
    return importer.importFile(
        UUID.randomUUID(), file, Optional.empty(), sha256, TransferProgress.NONE);
  }

  private void assertRefused(Reason reason, Path file) throws IOException {
    ImageException e = assertThrows(ImageException.class, () -> importFile(file));
    assertEquals(reason, e.reason(), e.getMessage());
    assertFalse(e.hint().isEmpty());
    assertTrue(e.toString().contains(file.toString()), e.toString());
    assertNothingLeft();
  }

  private void assertNothingLeft() throws IOException {
    assertTrue(store.list().isEmpty());
    try (var left = Files.list(directory.resolve("staging"))) {
      assertEquals(List.of(), left.toList());
    }
  }

  @Test
  void aRawFileBecomesASealedVolumeWithItsContentAndChecksum() throws Exception {
    byte[] content = diskContent(8 * MIB);
    ImageImporter.Imported imported = importFile(rawFile(content));
    assertEquals(ImageFormat.RAW, imported.format());
    assertTrue(imported.volume().sealed());
    assertArrayEquals(content, content(imported.volume().id()));
    byte[] sha256 = MessageDigest.getInstance("SHA-256").digest(content);
    assertEquals(Optional.of(HexFormat.of().formatHex(sha256)), imported.sha256());
    assertTrue(imported.volume().allocatedBytes() < 4 * MIB, "zeroes are left out");
  }

  @Test
  void qcow2PlainAndCompressedVmdkAndVhdxHaveTheContentOfTheirRawTwin() throws Exception {
    byte[] content = diskContent(8 * MIB);
    Path raw = rawFile(content);
    for (Path file :
        List.of(
            converted(raw, "qcow2"),
            converted(raw, "qcow2", "-c"),
            converted(raw, "vmdk"),
            converted(raw, "vmdk", "-o", "subformat=streamOptimized"),
            converted(raw, "vhdx"))) {
      ImageImporter.Imported imported = importFile(file);
      assertArrayEquals(content, content(imported.volume().id()), file.toString());
      store.delete(imported.volume().id());
      assertNothingLeft();
    }
  }

  @Test
  void aSizeThatIsNoMultipleOf512IsPaddedWithZeroes() throws IOException {
    byte[] content = Arrays.copyOf(diskContent(3 * MIB), 3 * MIB - 700);
    UUID id = importFile(rawFile(content)).volume().id();
    assertArrayEquals(Arrays.copyOf(content, 3 * MIB - 512), content(id));
  }

  @Test
  void aSparseTebibyteIsImportedWithoutReadingItsHoles() throws IOException {
    Path file = directory.resolve("big.raw");
    try (RandomAccessFile big = new RandomAccessFile(file.toFile(), "rw")) {
      big.setLength(1L << 40);
      big.seek((1L << 40) - 4096);
      big.write(new byte[] {1, 2, 3});
    }
    ImageImporter.Imported imported = importFile(file);
    assertEquals(1L << 40, imported.volume().sizeBytes());
    assertEquals(Optional.empty(), imported.sha256());
    assertTrue(imported.volume().allocatedBytes() < MIB);
    try (Volume volume = store.open(imported.volume().id())) {
      ByteBuffer end = ByteBuffer.allocate(512);
      volume.read((1L << 40) - 4096, end);
      assertEquals(3, end.get(2));
    }
  }

  @Test
  void filesThatAreNoImagesAreRefused() throws IOException {
    assertRefused(Reason.FILE_MISSING, directory.resolve("absent.img"));
    assertRefused(Reason.NOT_A_FILE, directory);
    assertRefused(Reason.EMPTY, Files.createFile(directory.resolve("empty.img")));
    assertRefused(
        Reason.NOT_AN_IMAGE, Files.writeString(directory.resolve("notes.txt"), "not an image"));
    byte[] gzip = new byte[1000];
    gzip[0] = 0x1f;
    gzip[1] = (byte) 0x8b;
    assertRefused(Reason.NOT_AN_IMAGE, Files.write(directory.resolve("disk.gz"), gzip));
  }

  @Test
  void plainBytesAreTakenWhenTheUserSaysRaw() throws IOException {
    Path file = Files.writeString(directory.resolve("notes.txt"), "not an image");
    UUID id = UUID.randomUUID();
    importer.importFile(
        id, file, Optional.of(ImageFormat.RAW), Optional.empty(), TransferProgress.NONE);
    assertEquals(512, content(id).length);
  }

  @Test
  void aFormatThatIsNotTheOneAskedForIsRefused() throws Exception {
    Path raw = rawFile(diskContent(4 * MIB));
    Path qcow2 = converted(raw, "qcow2");
    for (var wrong :
        List.of(
            new Object[] {raw, ImageFormat.QCOW2},
            new Object[] {qcow2, ImageFormat.RAW},
            new Object[] {qcow2, ImageFormat.VMDK})) {
      ImageException e =
          assertThrows(
              ImageException.class,
              () ->
                  importer.importFile(
                      UUID.randomUUID(),
                      (Path) wrong[0],
                      Optional.of((ImageFormat) wrong[1]),
                      Optional.empty(),
                      TransferProgress.NONE));
      assertEquals(Reason.NOT_AN_IMAGE, e.reason());
    }
    assertNothingLeft();
  }

  @Test
  void truncatedImagesAreRefused() throws Exception {
    Path raw = rawFile(diskContent(8 * MIB));
    for (String format : List.of("qcow2", "vmdk", "vhdx")) {
      Path file = converted(raw, format);
      try (RandomAccessFile cut = new RandomAccessFile(file.toFile(), "rw")) {
        cut.setLength(cut.length() - MIB);
      }
      ImageException e = assertThrows(ImageException.class, () -> importFile(file));
      assertTrue(
          List.of(Reason.TRUNCATED, Reason.DAMAGED, Reason.TOOL_FAILED).contains(e.reason()),
          e.getMessage());
      assertNothingLeft();
    }
    byte[] partitioned = diskContent(8 * MIB);
    ByteBuffer.wrap(partitioned)
        .order(java.nio.ByteOrder.LITTLE_ENDIAN)
        .put(446, (byte) 0x80)
        .put(450, (byte) 0x83)
        .putInt(454, 2048)
        .putInt(458, 16384 - 2048);
    importFile(rawFile(partitioned));
    store.delete(store.list().getFirst().id());
    assertRefused(Reason.TRUNCATED, rawFile(Arrays.copyOf(partitioned, 5 * MIB)));
  }

  @Test
  void anImageWithABackingFileIsRefusedWithTheCommandThatHelps() throws Exception {
    Path base = converted(rawFile(diskContent(4 * MIB)), "qcow2");
    Path overlay = directory.resolve("overlay.qcow2");
    run(
        "qemu-img",
        "create",
        "-q",
        "-f",
        "qcow2",
        "-F",
        "qcow2",
        "-b",
        base.toString(),
        overlay.toString());
    assertRefused(Reason.HAS_BACKING_FILE, overlay);
  }

  @Test
  void anImageLargerThanTheSpaceLeftIsRefused() throws IOException {
    store.close();
    long available = Files.getFileStore(directory).getUsableSpace();
    store =
        LocalVolumeStore.open(
            directory.resolve("store"), new LocalVolumeStore.Settings(available - MIB));
    importer = new ImageImporter(store, directory.resolve("staging"), 0);
    assertRefused(Reason.TOO_LARGE, rawFile(diskContent(32 * MIB)));
  }

  @Test
  void aCancelledImportLeavesNothingBehind() throws Exception {
    Path raw = rawFile(diskContent(16 * MIB));
    Path qcow2 = converted(raw, "qcow2");
    TransferProgress cancelling =
        new TransferProgress() {
          @Override
          public void onProgress(long doneBytes, long totalBytes) {}

          @Override
          public boolean cancelled() {
            return true;
          }
        };
    for (Path file : List.of(raw, qcow2)) {
      ImageException e =
          assertThrows(
              ImageException.class,
              () ->
                  importer.importFile(
                      UUID.randomUUID(), file, Optional.empty(), Optional.empty(), cancelling));
      assertEquals(Reason.CANCELLED, e.reason());
      assertNothingLeft();
    }
  }

  @Test
  void progressNeverGoesBackAndEndsAtTheEnd() throws Exception {
    Path qcow2 = converted(rawFile(diskContent(16 * MIB)), "qcow2");
    List<Long> seen = new ArrayList<>();
    long total = Files.size(qcow2);
    TransferProgress watching =
        new TransferProgress() {
          @Override
          public void onProgress(long doneBytes, long totalBytes) {
            assertEquals(total, totalBytes);
            seen.add(doneBytes);
          }

          @Override
          public boolean cancelled() {
            return false;
          }
        };
    Optional<String> sha256 = Optional.of(sha256(qcow2));
    importer.importFile(UUID.randomUUID(), qcow2, Optional.empty(), sha256, watching);
    assertEquals(seen.stream().sorted().toList(), seen);
    assertEquals(total, seen.getLast());
  }

  private static String sha256(Path file) throws Exception {
    byte[] digest = MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(file));
    return HexFormat.of().formatHex(digest);
  }

  @Test
  void aFileWithAnotherChecksumIsRefusedAndWithItsOwnItIsKept() throws Exception {
    Path raw = rawFile(diskContent(8 * MIB));
    for (Path file : List.of(raw, converted(raw, "qcow2"))) {
      ImageException e =
          assertThrows(ImageException.class, () -> importFile(file, Optional.of("0".repeat(64))));
      assertEquals(Reason.CHECKSUM_WRONG, e.reason());
      assertNothingLeft();
      Optional<String> own = Optional.of(sha256(file));
      ImageImporter.Imported imported = importFile(file, own);
      assertEquals(own, imported.sha256());
      store.delete(imported.volume().id());
    }
  }

  @Test
  void aFileThatIsExchangedWhileItIsReadDoesNotPassForTheOneWithTheChecksum() throws Exception {
    byte[] content = diskContent(8 * MIB);
    Path file = rawFile(content);
    Optional<String> sha256 = Optional.of(sha256(file));
    FileTime modified = Files.getLastModifiedTime(file);
    content[MIB] ^= 1;
    TransferProgress exchanging =
        new TransferProgress() {
          private boolean done;

          @Override
          public void onProgress(long doneBytes, long totalBytes) {
            if (!done) {
              done = true;
              try {
                // Nothing but its content tells.
                Files.setLastModifiedTime(Files.write(file, content), modified);
              } catch (IOException e) {
                throw new UncheckedIOException(e);
              }
            }
          }

          @Override
          public boolean cancelled() {
            return false;
          }
        };
    ImageException e =
        assertThrows(
            ImageException.class,
            () ->
                importer.importFile(UUID.randomUUID(), file, Optional.empty(), sha256, exchanging));
    assertEquals(Reason.CHECKSUM_WRONG, e.reason());
    assertNothingLeft();
  }

  @Test
  void aChecksumThatWasGivenIsComparedAndKeptWhateverTheSize() throws Exception {
    importer = new ImageImporter(store, directory.resolve("staging"), () -> Long.MAX_VALUE, MIB);
    Path file = rawFile(diskContent(8 * MIB));
    ImageImporter.Imported unasked = importFile(file);
    assertEquals(Optional.empty(), unasked.sha256());
    store.delete(unasked.volume().id());
    ImageException e =
        assertThrows(ImageException.class, () -> importFile(file, Optional.of("0".repeat(64))));
    assertEquals(Reason.CHECKSUM_WRONG, e.reason());
    assertNothingLeft();
    Optional<String> own = Optional.of(sha256(file));
    assertEquals(own, importFile(file, own).sha256());
  }

  @Test
  void holesAreHashedAsZeroes() throws Exception {
    Path file = directory.resolve("sparse.raw");
    byte[] content = new byte[5 * MIB + 100];
    try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw")) {
      sparse.setLength(content.length);
      for (int at : new int[] {2 * MIB + 10, 4 * MIB}) {
        sparse.seek(at);
        sparse.write(7);
        content[at] = 7;
      }
    }
    UUID id = UUID.randomUUID();
    ImageImporter.Imported imported =
        importer.importFile(
            id, file, Optional.of(ImageFormat.RAW), Optional.empty(), TransferProgress.NONE);
    byte[] digest = MessageDigest.getInstance("SHA-256").digest(content);
    assertEquals(Optional.of(HexFormat.of().formatHex(digest)), imported.sha256());
  }

  @Test
  void anImageThatHasToBeConvertedLeavesTheReserveOfTheStagingDirectoryAlone() throws Exception {
    Path raw = rawFile(diskContent(8 * MIB));
    Path qcow2 = converted(raw, "qcow2");
    importer = new ImageImporter(store, directory.resolve("staging"), () -> MIB, MIB);
    ImageException e = assertThrows(ImageException.class, () -> importFile(qcow2));
    assertEquals(Reason.TOO_LARGE, e.reason());
    assertTrue(String.valueOf(e.getMessage()).contains("staging"), e.getMessage());
    assertNothingLeft();
    assertTrue(importFile(raw).volume().sealed(), "which needs no staging");
  }

  @Test
  void aConversionThatComesToTheReserveEndsThere() throws Exception {
    Path qcow2 = converted(rawFile(diskContent(8 * MIB)), "qcow2");
    AtomicInteger looks = new AtomicInteger();
    importer =
        new ImageImporter(
            store,
            directory.resolve("staging"),
            () -> looks.getAndIncrement() == 0 ? Long.MAX_VALUE : 0,
            MIB);
    ImageException e = assertThrows(ImageException.class, () -> importFile(qcow2));
    assertEquals(Reason.TOO_LARGE, e.reason());
    assertNothingLeft();
  }
}
