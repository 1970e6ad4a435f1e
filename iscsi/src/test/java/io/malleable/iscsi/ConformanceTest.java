package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The whole conformance suite of libiscsi over two paths. Every test that it skips, and every one
 * that is not run since it wants what a standard forbids, must be listed, with the reason, in
 * {@code docs/iscsi-conformance.md}.
 */
class ConformanceTest {
  private static final Path DOCUMENT = Path.of("..", "docs", "iscsi-conformance.md");

  /** Of the oldest version that we know, 1.19. */
  private static final int LEAST_TESTS = 230;

  private static final Pattern LISTED = Pattern.compile("ALL\\.(\\w+\\.[\\w-]+)");
  private static final Pattern SKIPPED_ROW = Pattern.compile("\\| `([A-Za-z0-9.]+)` \\|.*");
  private static final Pattern NOT_RUN_ROW =
      Pattern.compile("\\| not run: `([A-Za-z0-9.]+)` \\|.*");
  private static final Pattern SUMMARY = Pattern.compile("tests +(\\d+) +(\\d+) +(\\d+) +(\\d+)");
  private static final Pattern SUITE_OR_TEST =
      Pattern.compile("Suite: (\\S+)|  Test: (\\S+) \\.\\.\\.");

  private static final Pattern MAYBE_SKIPPED_ROW =
      Pattern.compile("\\| may be skipped: `([A-Za-z0-9.]+)` \\|.*");

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
      Set<String> tests = testsOfTheSuite();
      Set<String> wrong = rows(NOT_RUN_ROW);
      assertTrue(wrong.size() < 5, "not run: " + wrong);
      tests.removeAll(wrong);
      assertTrue(tests.size() >= LEAST_TESTS, tests.size() + " tests: " + tests);
      String which = suites(tests);
      List<String> command =
          List.of("iscsi-test-cu", "-d", "-t", which, server.url(0, ""), server.url(1, ""));
      String output = Programs.run("libiscsi-bin", scratch, 600, command).output();
      Matcher summary = SUMMARY.matcher(output);
      assertTrue(summary.find(), output);
      assertEquals(tests.size(), Integer.parseInt(summary.group(2)), "tests run: " + output);
      assertEquals("0", summary.group(4), "failed: " + output);
      Set<String> explained = rows(SKIPPED_ROW);
      explained.retainAll(tests);
      Set<String> skipped = skipped(output);
      skipped.removeAll(rows(MAYBE_SKIPPED_ROW));
      assertEquals(explained, skipped);
      assertTrue(explained.size() < 35, "skips: " + explained);
    }
  }

  /**
   * All whole, as tests of one rely on those before; the suite begins with the last in its list.
   */
  private static String suites(Set<String> tests) {
    List<String> suites =
        tests.stream().map(test -> "ALL." + test.replaceAll("\\..*", "")).distinct().toList();
    return String.join(",", suites.reversed());
  }

  /** In its order. Which there are depends on its version. */
  private Set<String> testsOfTheSuite() throws Exception {
    String list =
        Programs.run("libiscsi-bin", scratch, 60, List.of("iscsi-test-cu", "-l")).output();
    return LISTED
        .matcher(list)
        .results()
        .map(m -> m.group(1))
        .collect(Collectors.toCollection(LinkedHashSet::new));
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

  /** Of the document's table, the tests in the rows of that kind. */
  private static Set<String> rows(Pattern kind) throws IOException {
    Set<String> names = new TreeSet<>();
    for (String line : Files.readAllLines(DOCUMENT)) {
      Matcher row = kind.matcher(line);
      if (row.matches()) {
        names.add(row.group(1));
      }
    }
    return names;
  }
}
