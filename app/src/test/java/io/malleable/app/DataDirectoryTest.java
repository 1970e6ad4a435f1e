package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class DataDirectoryTest {
  @TempDir private Path directory;

  @Test
  void theTokenIsMadeOnceAndOnlyItsOwnerMayReadIt() throws Exception {
    Path root = directory.resolve("data");
    String first;
    try (DataDirectory data = DataDirectory.open(root)) {
      first = data.adminToken();
      assertTrue(first.length() >= 40, "256 random bits");
      assertEquals("rw-------", permissions(data.tokenFile()));
      assertEquals("rwx------", permissions(root));
    }
    try (DataDirectory data = DataDirectory.open(root)) {
      assertEquals(first, data.adminToken());
    }
  }

  @Test
  void aDirectoryInUseNamesItsProcess() throws Exception {
    try (DataDirectory held = DataDirectory.open(directory)) {
      StartException e = assertThrows(StartException.class, () -> DataDirectory.open(directory));
      String expected = "in use by process " + ProcessHandle.current().pid();
      assertTrue(String.valueOf(e.getMessage()).contains(expected), e.getMessage());
      assertTrue(Files.exists(held.resolve("lock")));
    }
    DataDirectory.open(directory).close();
  }

  @Test
  void aFileInPlaceOfTheDirectoryIsRefusedWithAHint() throws Exception {
    Path file = Files.writeString(directory.resolve("file"), "");
    StartException e = assertThrows(StartException.class, () -> DataDirectory.open(file));
    assertTrue(String.valueOf(e.getMessage()).contains(file.toString()), e.getMessage());
    assertTrue(e.hint().contains("--data"), e.hint());
  }

  @Test
  void aTokenFileWithoutATokenIsRefused() throws Exception {
    Files.writeString(directory.resolve("admin-token"), "\n");
    try (DataDirectory data = DataDirectory.open(directory)) {
      assertThrows(StartException.class, data::adminToken);
    }
  }

  private static String permissions(Path file) throws Exception {
    return PosixFilePermissions.toString(Files.getPosixFilePermissions(file));
  }
}
