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
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The conformance suite of libiscsi against what machines get: a clone of an image, two paths. */
final class CloneConformanceTest {
  private static final String TARGET = "iqn.2026-11.io.malleable:clone";
  private static final long DISK_BYTES = 128L << 20;
  private static final Pattern SUMMARY = Pattern.compile("tests +(\\d+) +(\\d+) +(\\d+) +(\\d+)");
  private static final Pattern SUITE_OR_TEST =
      Pattern.compile("Suite: (\\S+)|  Test: (\\S+) \\.\\.\\.");

  private static final Pattern LISTED = Pattern.compile("ALL\\.(\\w+\\.[\\w-]+)");
  private static final Pattern SKIPPED_ROW = Pattern.compile("\\| `([A-Za-z0-9.]+)` \\|.*");
  private static final Pattern NOT_RUN_ROW =
      Pattern.compile("\\| not run: `([A-Za-z0-9.]+)` \\|.*");

  private static final Pattern MAYBE_SKIPPED_ROW =
      Pattern.compile("\\| may be skipped: `([A-Za-z0-9.]+)` \\|.*");

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
      Set<String> tests = names(LISTED, run("iscsi-test-cu", "-l").lines());
      tests.removeAll(explained(NOT_RUN_ROW));
      assertTrue(tests.size() >= 230, "tests of the suite: " + tests);
      String output = suite(tests, server.open());
      Matcher summary = SUMMARY.matcher(output);
      assertTrue(summary.find(), output);
      assertEquals(tests.size(), Integer.parseInt(summary.group(2)), output);
      assertEquals("0", summary.group(4), output);
      Set<String> explained = explained(SKIPPED_ROW);
      explained.retainAll(tests);
      Set<String> skipped = skipped(output);
      skipped.removeAll(explained(MAYBE_SKIPPED_ROW));
      assertEquals(explained, skipped);
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

  private static String suite(Set<String> tests, List<Portal> portals) throws Exception {
    List<String> urls =
        portals.stream()
            .map(p -> "iscsi://127.0.0.1:" + p.address().getPort() + "/" + TARGET + "/0")
            .toList();
    // All whole, as tests of one rely on those before; the suite begins with the last in its list.
    List<String> suites =
        tests.stream().map(test -> "ALL." + test.replaceAll("\\..*", "")).distinct().toList();
    String which = String.join(",", suites.reversed());
    return run("iscsi-test-cu", "-d", "-t", which, urls.get(0), urls.get(1));
  }

  private static String run(String... command) throws Exception {
    Process process;
    try {
      process = new ProcessBuilder(command).redirectErrorStream(true).start();
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

  /** Of the document's table, the tests in the rows of that kind. */
  private static Set<String> explained(Pattern kind) throws IOException {
    return names(kind, Files.readAllLines(Path.of("..", "docs", "iscsi-conformance.md")).stream());
  }

  private static Set<String> names(Pattern kind, Stream<String> lines) {
    return lines
        .flatMap(line -> kind.matcher(line).results())
        .map(found -> found.group(1))
        .collect(Collectors.toCollection(LinkedHashSet::new));
  }
}
