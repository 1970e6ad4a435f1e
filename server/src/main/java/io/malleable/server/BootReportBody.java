package io.malleable.server;

import io.malleable.image.BootFirmware;
import io.malleable.image.BootReport;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** What would stop an image from booting, on the wire. */
record BootReportBody(
    String verdict,
    List<String> firmware,
    @Nullable String system,
    @Nullable String kernel,
    List<Finding> findings) {

  record Finding(String severity, String code, String what, String why, @Nullable String fix) {
    static Finding of(io.malleable.image.Finding finding) {
      return new Finding(
          word(finding.severity()),
          finding.code(),
          finding.what(),
          finding.why(),
          orNull(finding.fix()));
    }
  }

  static BootReportBody of(BootReport report) {
    return new BootReportBody(
        word(report.verdict()),
        Arrays.stream(BootFirmware.values())
            .filter(report.firmware()::contains)
            .map(BootReportBody::word)
            .toList(),
        orNull(report.system()),
        orNull(report.kernel()),
        report.findings().stream().map(Finding::of).toList());
  }

  private static String word(Enum<?> value) {
    return value.name().toLowerCase(Locale.ROOT);
  }

  private static @Nullable String orNull(String text) {
    return text.isEmpty() ? null : text;
  }
}
