package io.malleable.app;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;

/**
 * The file {@code store.json} of a data directory: where the server keeps its volumes when that is
 * not here, {@code {"rbd": {"conf", "user", "pool", "timeoutSeconds"}}}. For {@code m2 doctor},
 * which has no settings of the server.
 */
final class RbdNote {
  static final String FILE = "store.json";

  private static final ObjectMapper JSON = new ObjectMapper();

  private RbdNote() {}

  static String format(Settings.Rbd rbd) throws IOException {
    var root = JSON.createObjectNode();
    root.putObject("rbd")
        .put("conf", rbd.conf().toString())
        .put("user", rbd.user())
        .put("pool", rbd.pool())
        .put("timeoutSeconds", rbd.timeout().toSeconds());
    return JSON.writeValueAsString(root) + "\n";
  }

  /** Absent when the volumes are in the data directory itself, or no server has started there. */
  static Optional<Settings.Rbd> read(Path data) throws IOException {
    try {
      JsonNode rbd = JSON.readTree(Files.readString(data.resolve(FILE))).path("rbd");
      return Optional.of(
          new Settings.Rbd(
              Path.of(rbd.path("conf").asText()),
              rbd.path("user").asText(),
              rbd.path("pool").asText(),
              Duration.ofSeconds(Math.max(1, rbd.path("timeoutSeconds").asLong()))));
    } catch (NoSuchFileException e) {
      return Optional.empty();
    }
  }
}
