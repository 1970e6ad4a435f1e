package io.malleable.netboot;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.opentest4j.AssertionFailedError;

/**
 * Programs that tests need; one that is missing fails the test and says which package brings it.
 */
final class RequiredProgram {
  private RequiredProgram() {}

  static Path path(String name, String debianPackage) {
    return Stream.of("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
        .map(directory -> Path.of(directory, name))
        .filter(Files::isExecutable)
        .findFirst()
        .orElseThrow(
            () -> new AssertionFailedError(name + " is missing: apt-get install " + debianPackage));
  }

  static Path file(Path file, String debianPackage) {
    if (!Files.exists(file)) {
      throw new AssertionFailedError(file + " is missing: apt-get install " + debianPackage);
    }
    return file;
  }
}
