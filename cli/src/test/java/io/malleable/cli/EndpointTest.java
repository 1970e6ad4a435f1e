package io.malleable.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EndpointTest {
  @TempDir Path data;

  @Test
  void withoutAnythingItIsThisMachineAndTheDefaultProject() {
    Endpoint endpoint = Endpoint.of(Map.of("M2_DATA", data.toString()));
    assertEquals(URI.create("http://127.0.0.1:8480"), endpoint.url());
    assertEquals("default", endpoint.project());
    assertNull(endpoint.token());
  }

  @Test
  void theOwnServersTokenAndAddressAreFoundInItsDataDirectory() throws IOException {
    Files.writeString(data.resolve("admin-token"), "t0ken\n");
    long pid = ProcessHandle.current().pid();
    Files.writeString(data.resolve("run.json"), "{\"pid\":" + pid + ",\"http\":\"0.0.0.0:18480\"}");
    Endpoint endpoint = Endpoint.of(Map.of("M2_DATA", data.toString()));
    assertEquals(URI.create("http://127.0.0.1:18480"), endpoint.url());
    assertEquals("t0ken", endpoint.token());
  }

  @Test
  void theAddressOfAServerThatIsGoneIsNotUsed() throws IOException {
    Files.writeString(data.resolve("run.json"), "{\"pid\":\"gone\",\"http\":\"127.0.0.1:1\"}");
    assertEquals(
        URI.create("http://127.0.0.1:8480"), Endpoint.of(Map.of("M2_DATA", data.toString())).url());
    Files.writeString(data.resolve("run.json"), "not JSON");
    assertEquals(
        URI.create("http://127.0.0.1:8480"), Endpoint.of(Map.of("M2_DATA", data.toString())).url());
  }

  @Test
  void theOwnServersTokenIsNotSentToAnotherMachine() throws IOException {
    Files.writeString(data.resolve("admin-token"), "t0ken");
    assertNull(
        Endpoint.of(Map.of("M2_DATA", data.toString(), "M2_URL", "https://m2.example:443"))
            .token());
    assertEquals(
        "t0ken",
        Endpoint.of(Map.of("M2_DATA", data.toString(), "M2_URL", "http://[::1]:1")).token());
  }

  @Test
  void aTokenFileIsReadAndOneThatCannotBeIsNamed() throws IOException {
    Path file = Files.writeString(data.resolve("token"), " abc \n");
    assertEquals("abc", Endpoint.of(Map.of("M2_TOKEN_FILE", file.toString())).token());
    CommandFailure missing =
        assertThrows(
            CommandFailure.class, () -> Endpoint.of(Map.of("M2_TOKEN_FILE", data + "/none")));
    assertTrue(missing.what().contains("none does not exist"));
    Files.writeString(file, "a\nb");
    CommandFailure strange =
        assertThrows(
            CommandFailure.class, () -> Endpoint.of(Map.of("M2_TOKEN_FILE", file.toString())));
    assertFalse(strange.what().contains("a\nb"), "what is in the file stays out of messages");
  }

  @Test
  void anAddressThatIsNoneIsRefused() {
    for (String url :
        new String[] {
          "localhost:8480",
          "ftp://h",
          "http://h/path",
          "http://user:secret@h",
          "http://",
          "http:// h",
          "http://h?q"
        }) {
      CommandFailure e =
          assertThrows(CommandFailure.class, () -> Endpoint.of(Map.of("M2_URL", url)), url);
      assertTrue(e.what().contains("M2_URL"), url);
    }
  }

  @Test
  void theTokenIsNotInTheText() {
    assertFalse(
        new Endpoint(URI.create("http://h"), "s3cret", "default").toString().contains("s3cret"));
  }
}
