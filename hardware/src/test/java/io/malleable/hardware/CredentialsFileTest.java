package io.malleable.hardware;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CredentialsFileTest {
  @TempDir Path directory;

  @Test
  void anExactHostWinsOverTheSharedAccount() throws IOException {
    Credentials credentials =
        file("# rack 1\nadmin@* shared\nadmin@10.0.0.7 of seven\n\nroot@host x\n", "rw-------");

    assertEquals("of seven", credentials.password("admin", "10.0.0.7").orElseThrow().reveal());
    assertEquals("shared", credentials.password("admin", "10.0.0.8").orElseThrow().reveal());
    assertTrue(credentials.password("root", "10.0.0.7").isEmpty());
  }

  @Test
  void withoutAFileThereAreNoPasswords() throws IOException {
    Credentials credentials = new CredentialsFile(directory.resolve("absent"));
    assertTrue(credentials.password("admin", "host").isEmpty());
  }

  @Test
  void aFileThatOthersCanReadIsRefused() throws IOException {
    Credentials credentials = file("admin@* s3cret\n", "rw-r-----");
    PowerException e =
        assertThrows(PowerException.class, () -> credentials.password("admin", "host"));
    assertEquals(PowerException.Kind.CONFIGURATION, e.kind());
    assertTrue(e.remedy().contains("chmod 600"), e.remedy());
  }

  @Test
  void aMalformedLineIsNamedWithoutItsContent() throws IOException {
    Credentials credentials = file("admin@a x\nadmin@b=s3cret\n", "rw-------");
    PowerException e =
        assertThrows(PowerException.class, () -> credentials.password("admin", "host"));
    assertTrue(e.getMessage().contains("line 2"), e.getMessage());
    assertFalse(e.getMessage().contains("s3cret"), e.getMessage());
  }

  private Credentials file(String text, String permissions) throws IOException {
    Path file = directory.resolve("bmc-credentials");
    Files.writeString(file, text);
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString(permissions));
    return new CredentialsFile(file);
  }
}
