package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The whole conformance suite of libiscsi over two paths. Every test that it skips must be listed,
 * with the reason, in {@code docs/iscsi-conformance.md}.
 */
class ConformanceTest {
  private static final int TESTS = 230;
  private static final Pattern SUMMARY = Pattern.compile("tests +(\\d+) +(\\d+) +(\\d+) +(\\d+)");
  private static final Pattern SUITE_OR_TEST =
      Pattern.compile("Suite: (\\S+)|  Test: (\\S+) \\.\\.\\.");

  @TempDir Path scratch;

  @Test
  void everyTestOfTheSuitePassesAndEverySkippedOneIsExplained() throws Exception {
    assertConforms(new MemoryUnit(256L << 20));
  }

  @Test
  void theSuitePassesAsWellWhereCommandsRunConcurrently() throws Exception {
    assertConforms(new MemoryUnit(256L << 20).concurrency(16));
  }

  private void assertConforms(LogicalUnit unit) throws Exception {
    List<TargetDefinition> targets =
        List.of(new TargetDefinition(TestServer.TARGET, Map.of(0, unit), Access.open()));
    DirectoryReservationStore store = new DirectoryReservationStore(scratch.resolve("pr"));
    try (TestServer server =
        TestServer.serving(targets, store, new TargetListener() {}, UnaryOperator.identity())) {
      List<String> command =
          List.of("iscsi-test-cu", "-d", "-t", "ALL", server.url(0, ""), server.url(1, ""));
      String output = Programs.run("libiscsi-bin", scratch, 600, command).output();
      Matcher summary = SUMMARY.matcher(output);
      assertTrue(summary.find(), output);
      assertEquals(TESTS, Integer.parseInt(summary.group(2)), "tests run: " + output);
      assertEquals("0", summary.group(4), "failed: " + output);
      assertEquals(explainedSkips(), skipped(output));
      assertTrue(explainedSkips().size() < 30, "skips: " + explainedSkips());
    }
  }

  private static Set<String> skipped(String output) {
    Set<String> skipped = new TreeSet<>();
    Matcher matcher = SUITE_OR_TEST.matcher(output);
    String suite = "";
    String test = "";
    int from = 0;
    List<int[]> ranges = new ArrayList<>();
    List<String> names = new ArrayList<>();
    while (matcher.find()) {
      ranges.add(new int[] {from, matcher.start()});
      names.add(test);
      from = matcher.end();
      if (matcher.group(1) != null) {
        suite = matcher.group(1);
        test = "";
      } else {
        test = suite + "." + matcher.group(2);
      }
    }
    ranges.add(new int[] {from, output.length()});
    names.add(test);
    for (int i = 0; i < names.size(); i++) {
      String part = output.substring(ranges.get(i)[0], ranges.get(i)[1]);
      if (!names.get(i).isEmpty() && part.contains("SKIPPED")) {
        skipped.add(names.get(i));
      }
    }
    return skipped;
  }

  /** The first column of the table in the document. */
  private static Set<String> explainedSkips() throws IOException {
    Path document = Path.of("..", "docs", "iscsi-conformance.md");
    Set<String> names = new TreeSet<>();
    for (String line : Files.readAllLines(document)) {
      Matcher row = Pattern.compile("\\| `([A-Za-z0-9.]+)` \\|.*").matcher(line);
      if (row.matches()) {
        names.add(row.group(1));
      }
    }
    return names;
  }
}
