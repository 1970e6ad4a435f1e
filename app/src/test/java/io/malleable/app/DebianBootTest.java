package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.image.BootCheck;
import io.malleable.image.BootFirmware;
import io.malleable.image.BootReport;
import io.malleable.image.DriveContent;
import io.malleable.image.Severity;
import io.malleable.lab.DebianImage;
import io.malleable.lab.TinyImage;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The golden image as its users meet it: built, imported, booted by a rack, logged in to. */
class DebianBootTest {
  /** Without KVM a boot takes minutes; the scenario has limits of its own for each step. */
  private static final Duration LIMIT = Duration.ofMinutes(80);

  @TempDir Path directory;

  @Test
  @Tag("long")
  void debianBootsByBiosAndUefiAndLetsInWhomItsIdentityDriveNames() throws Exception {
    long startNanos = System.nanoTime();
    Path image =
        new DebianImage(
                TinyImage.defaultCache(System.getenv()),
                System.getenv(),
                Optional.empty(),
                Optional.empty())
            .build((_, _, _) -> {});
    System.out.printf("image: %.1f s%n", (System.nanoTime() - startNanos) / 1e9);
    checkFindsNothingBad(image);
    Namespace.run(
        DebianScenario.class,
        List.of(directory.toString(), image.toString()),
        directory.resolve("scenario.log"),
        LIMIT,
        new Namespace.Needs(
            List.of("unshare", "ip", "ipmi_sim", "ipmitool", "ssh", "ssh-keygen"),
            "util-linux, iproute2, openipmi, ipmitool and openssh-client"));
  }

  private static void checkFindsNothingBad(Path image) throws IOException {
    for (BootFirmware firmware : BootFirmware.values()) {
      try (FileChannel content = FileChannel.open(image)) {
        BootReport report = BootCheck.check(DriveContent.of(content), Optional.of(firmware));
        assertEquals(BootReport.Verdict.BOOTS, report.verdict(), report.toString());
        assertTrue(
            report.findings().stream().allMatch(f -> f.severity() == Severity.NOTE),
            report.toString());
      }
    }
  }
}
