package io.malleable.volume.imagefile;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.volume.Volume;
import io.malleable.volume.VolumeException;
import io.malleable.volume.local.LocalVolumeStore;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What QEMU makes of the files that we write. */
class ExportedImageTest {
  private static final long MIB = 1 << 20;
  private static final long TIB = 1L << 40;

  @TempDir Path directory;
  private LocalVolumeStore store;

  @BeforeEach
  void open() throws IOException {
    store = LocalVolumeStore.open(directory.resolve("store"));
  }

  @AfterEach
  void close() throws IOException {
    store.close();
  }

  /** A sealed volume with 4 KiB of noise at each of the places; zeroes elsewhere. */
  private UUID volume(long sizeBytes, long... places) throws IOException {
    UUID id = UUID.randomUUID();
    store.create(id, sizeBytes);
    try (Volume volume = store.open(id)) {
      for (long place : places) {
        volume.write(place, ByteBuffer.wrap(noise(place)));
      }
    }
    store.seal(id);
    return id;
  }

  private static byte[] noise(long place) {
    byte[] block = new byte[4096];
    new Random(place).nextBytes(block);
    return block;
  }

  private Path exported(UUID id, ImageFormat format) throws IOException {
    Path file = directory.resolve(id + "." + format.label());
    try (ExportedImage image = ExportedImage.open(store, id, format);
        OutputStream out = new BufferedOutputStream(Files.newOutputStream(file))) {
      image.writeTo(out);
      out.flush();
      assertEquals(image.lengthBytes(), Files.size(file), format.label());
    }
    return file;
  }

  private static String run(String... command) throws Exception {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertTrue(process.waitFor(1, TimeUnit.MINUTES));
    assertEquals(0, process.exitValue(), output);
    return output;
  }

  private static void assertSound(Path qcow2) throws Exception {
    String report = run("qemu-img", "check", "-f", "qcow2", qcow2.toString());
    assertTrue(report.contains("No errors were found"), report);
  }

  @Test
  void qemuFindsTheSameBytesInBothFormats() throws Exception {
    for (long size : new long[] {512, 4096, 65_536, 65_536 + 512, 3 * MIB - 512, 20 * MIB}) {
      List<Long> places = new ArrayList<>();
      for (long place = 0; place + 4096 <= size; place = place * 3 + 61_440) {
        places.add(place);
      }
      UUID id = volume(size, places.stream().mapToLong(Long::longValue).toArray());
      Path raw = exported(id, ImageFormat.RAW);
      Path qcow2 = exported(id, ImageFormat.QCOW2);
      assertEquals(size, Files.size(raw));
      assertSound(qcow2);
      run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw.toString(), qcow2.toString());
      try (Volume volume = store.open(id)) {
        byte[] content = Files.readAllBytes(raw);
        ByteBuffer all = ByteBuffer.allocate(content.length);
        volume.read(0, all);
        assertArrayEquals(all.array(), content);
      }
      Files.delete(raw);
    }
  }

  @Test
  void aLargeVolumeIsAsSmallAFileAsItsContent() throws Exception {
    for (long size : new long[] {TIB, 40 * TIB}) {
      // An ext4 file ends at 16 TiB.
      long[] places = {0, TIB / 2 - 4096, TIB / 2, Math.min(size, 15 * TIB) - 4096};
      UUID id = volume(size, places);
      Path qcow2 = exported(id, ImageFormat.QCOW2);
      assertTrue(Files.size(qcow2) < 4 * MIB, Files.size(qcow2) + " bytes");
      assertSound(qcow2);
      for (long place : places) {
        String dump =
            run("qemu-io", "-r", "-f", "qcow2", "-c", "read -v " + place + " 16", qcow2.toString());
        byte[] noise = noise(place);
        assertTrue(dump.contains(String.format("%02x %02x %02x", noise[0], noise[1], noise[2])));
      }
    }
  }

  @Test
  void whatIsCutOffByTheReceiverLetsGoOfTheVolume() throws Exception {
    UUID id = volume(8 * MIB, 0, MIB);
    OutputStream refusing =
        new OutputStream() {
          @Override
          public void write(int value) throws IOException {
            throw new IOException("gone");
          }
        };
    try (ExportedImage image = ExportedImage.open(store, id, ImageFormat.RAW)) {
      assertThrows(IOException.class, () -> image.writeTo(refusing));
    }
    store.delete(id);
    assertFalse(store.find(id).isPresent());
  }

  @Test
  void aDiskThatMayBeWrittenMeanwhileIsNotExported() throws Exception {
    UUID id = UUID.randomUUID();
    store.create(id, MIB);
    VolumeException e =
        assertThrows(VolumeException.class, () -> ExportedImage.open(store, id, ImageFormat.QCOW2));
    assertEquals(VolumeException.Reason.NOT_SEALED, e.reason());
    store.delete(id);
  }
}
