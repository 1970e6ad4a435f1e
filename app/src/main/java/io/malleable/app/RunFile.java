package io.malleable.app;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** {@code DIR/run.json}: where the running server listens, for scripts. Gone when it stops. */
final class RunFile implements AutoCloseable {
  private final Path file;

  private RunFile(Path file) {
    this.file = file;
  }

  static RunFile write(DataDirectory data, Addresses addresses) throws IOException {
    ObjectMapper mapper = new ObjectMapper();
    ObjectNode content =
        mapper
            .createObjectNode()
            .put("pid", ProcessHandle.current().pid())
            .put("http", addresses.http().toString())
            .put("bootHttp", addresses.bootHttp().toString())
            .put("iscsi", Addresses.joined(addresses.portals()));
    Path file = data.resolve("run.json");
    data.writePrivately(file, mapper.writeValueAsString(content) + "\n");
    return new RunFile(file);
  }

  @Override
  public void close() throws IOException {
    Files.deleteIfExists(file);
  }
}
