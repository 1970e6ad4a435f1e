package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class IdentityDriveTest {
  private static final String KEY =
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0vZz0AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA ops@example";

  @TempDir private Path directory;

  @Test
  void theDriveSaysWhoTheNodeIsAndWhoMayComeIn() {
    UUID disk = UUID.randomUUID();
    String content = content(IdentityUnit.of(disk, "node-7", List.of(KEY)));
    assertTrue(content.contains("instance-id: \"" + disk + "\""), "a new instance for each clone");
    assertTrue(content.contains("local-hostname: \"node-7\""));
    assertTrue(content.contains(KEY));
    assertTrue(content.contains("CIDATA"), "the label that cloud-init looks for");
  }

  @Test
  void theDriveIsTheSameAfterARestart() {
    UUID disk = UUID.randomUUID();
    IdentityUnit first = IdentityUnit.of(disk, "n", List.of(KEY));
    IdentityUnit second = IdentityUnit.of(disk, "n", List.of(KEY));
    assertEquals(first.identity(), second.identity());
    assertEquals(content(first), content(second));
    assertTrue(first.readOnly());
    assertEquals(0, first.sizeBytes() % first.blockSizeBytes());
  }

  @Test
  void aKeyFileIsReadLineByLineAndWrongOnesAreNamed() throws Exception {
    Path file = directory.resolve("keys.pub");
    Files.writeString(file, "# operators\n\n" + KEY + "\n");
    assertEquals(List.of(KEY), SshKeys.read(file));
    Files.writeString(file, KEY + "\nnot a key\n");
    StartException wrong = assertThrows(StartException.class, () -> SshKeys.read(file));
    assertTrue(String.valueOf(wrong.getMessage()).contains("line 2"), wrong.getMessage());
    Files.writeString(file, "");
    assertThrows(StartException.class, () -> SshKeys.read(file));
    assertThrows(StartException.class, () -> SshKeys.read(directory.resolve("none")));
  }

  private static String content(IdentityUnit unit) {
    ByteBuffer all = ByteBuffer.allocate((int) unit.sizeBytes());
    unit.read(0, all);
    return new String(all.array(), StandardCharsets.ISO_8859_1);
  }
}
