package io.malleable.hardware;

import static org.junit.jupiter.api.Assertions.fail;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** A missing program fails a test and says which package brings it. */
final class DebianPrograms {
  private DebianPrograms() {}

  static void require(String program, String debianPackage) {
    for (String directory : List.of("/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin")) {
      if (Files.isExecutable(Path.of(directory, program))) {
        return;
      }
    }
    fail(program + " is missing: install the Debian package " + debianPackage);
  }

  static void requireFile(Path file, String debianPackage) {
    if (!Files.isReadable(file)) {
      fail(file + " is missing: install the Debian package " + debianPackage);
    }
  }
}
