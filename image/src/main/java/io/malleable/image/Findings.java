package io.malleable.image;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/** Findings as they are made. What a drive says reaches them shortened and without controls. */
final class Findings {
  private static final int MAX_FINDINGS = 200;
  private static final int MAX_QUOTED_CHARS = 120;

  private final List<Finding> found = new ArrayList<>();

  void blocks(String code, String what, String why, String fix) {
    add(new Finding(Severity.BLOCKS, code, what, why, fix));
  }

  void unknown(String code, String what, String why, String fix) {
    add(new Finding(Severity.UNKNOWN, code, what, why, fix));
  }

  void warning(String code, String what, String why, String fix) {
    add(new Finding(Severity.WARNING, code, what, why, fix));
  }

  void note(String code, String what, String why) {
    add(new Finding(Severity.NOTE, code, what, why, ""));
  }

  private void add(Finding finding) {
    // What blocks is never crowded out by remarks.
    int most = finding.severity() == Severity.BLOCKS ? 2 * MAX_FINDINGS : MAX_FINDINGS;
    if (found.size() < most && !found.contains(finding)) {
      found.add(finding);
    }
  }

  List<Finding> worstFirst() {
    return found.stream().sorted(Comparator.comparing(Finding::severity)).toList();
  }

  /** A text that comes from the drive. */
  static String quoted(String text) {
    StringBuilder shown = new StringBuilder("'");
    text.codePoints()
        .limit(MAX_QUOTED_CHARS)
        .forEach(c ->
            shown.appendCodePoint(
                Character.isISOControl(c) || Character.getType(c) == Character.FORMAT ? '?' : c));
    return shown.append(text.length() > MAX_QUOTED_CHARS ? "...'" : "'").toString();
  }
}
