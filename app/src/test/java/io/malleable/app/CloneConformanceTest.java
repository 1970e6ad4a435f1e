package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.iscsi.Access;
import io.malleable.iscsi.DirectoryReservationStore;
import io.malleable.iscsi.IscsiServer;
import io.malleable.iscsi.IscsiServerConfig;
import io.malleable.iscsi.Portal;
import io.malleable.iscsi.TargetDefinition;
import io.malleable.iscsi.TargetListener;
import io.malleable.volume.Volume;
import io.malleable.volume.local.LocalVolumeStore;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The conformance suite of libiscsi against what machines get: a clone of an image, two paths. */
final class CloneConformanceTest {
  private static final String TARGET = "iqn.2026-11.io.malleable:clone";
  private static final long DISK_BYTES = 128L << 20;
  private static final Pattern SUMMARY = Pattern.compile("tests +(\\d+) +(\\d+) +(\\d+) +(\\d+)");
  private static final Pattern SUITE_OR_TEST =
      Pattern.compile("Suite: (\\S+)|  Test: (\\S+) \\.\\.\\.");

  /** First column of the document's table. */
  private static final Pattern ROW = Pattern.compile("\\| `([A-Za-z0-9.]+)`.* \\|.*");

  @TempDir private Path directory;

  @Test
  void everyTestOfTheSuitePassesAndEverySkippedOneIsExplained() throws Exception {
    InetSocketAddress any = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
    List<Portal> portals = List.of(new Portal(any, 1), new Portal(any, 2));
    try (LocalVolumeStore store = LocalVolumeStore.open(directory.resolve("volumes"));
        Volume clone = store.open(cloneOfAFullImage(store));
        IscsiServer server =
            new IscsiServer(
                IscsiServerConfig.of(portals),
                new DirectoryReservationStore(directory.resolve("reservations")),
                new TargetListener() {})) {
      server.define(
          new TargetDefinition(TARGET, Map.of(0, new VolumeLogicalUnit(clone)), Access.open()));
      String output = suite(server.open());
      Matcher summary = SUMMARY.matcher(output);
      assertTrue(summary.find(), output);
      assertEquals("230", summary.group(2), output);
      assertEquals("0", summary.group(4), output);
      assertEquals(explained(), skipped(output));
    }
  }

  private static UUID cloneOfAFullImage(LocalVolumeStore store) throws IOException {
    UUID image = UUID.randomUUID();
    UUID disk = UUID.randomUUID();
    store.create(image, DISK_BYTES);
    try (Volume volume = store.open(image)) {
      byte[] noise = new byte[1 << 20];
      Random random = new Random(1);
      for (long at = 0; at < DISK_BYTES; at += noise.length) {
        random.nextBytes(noise);
        volume.write(at, ByteBuffer.wrap(noise));
      }
    }
    store.seal(image);
    store.clone(disk, image, DISK_BYTES);
    return disk;
  }

  private static String suite(List<Portal> portals) throws Exception {
    List<String> urls =
        portals.stream()
            .map(p -> "iscsi://127.0.0.1:" + p.address().getPort() + "/" + TARGET + "/0")
            .toList();
    Process process;
    try {
      process =
          new ProcessBuilder("iscsi-test-cu", "-d", "-t", "ALL", urls.get(0), urls.get(1))
              .redirectErrorStream(true)
              .start();
    } catch (IOException e) {
      throw new AssertionError("install the Debian package libiscsi-bin", e);
    }
    try {
      return new String(process.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
    } finally {
      process.destroyForcibly();
    }
  }

  private static Set<String> skipped(String output) {
    Set<String> skipped = new TreeSet<>();
    Matcher matcher = SUITE_OR_TEST.matcher(output);
    String suite = "";
    String test = "";
    int from = 0;
    while (matcher.find()) {
      if (output.substring(from, matcher.start()).contains("SKIPPED") && !test.isEmpty()) {
        skipped.add(test);
      }
      from = matcher.end();
      suite = matcher.group(1) == null ? suite : matcher.group(1);
      test = matcher.group(1) == null ? suite + "." + matcher.group(2) : "";
    }
    return skipped;
  }

  private static Set<String> explained() throws IOException {
    Set<String> names = new TreeSet<>();
    for (String line : Files.readAllLines(Path.of("..", "docs", "iscsi-conformance.md"))) {
      Matcher row = ROW.matcher(line);
      if (row.matches()) {
        names.add(row.group(1));
      }
    }
    return names;
  }
}
