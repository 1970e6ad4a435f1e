package io.malleable.app;

import io.malleable.control.Nodes;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/** A whole server in the test's own process, on free ports of 127.0.0.1. */
final class TestServer implements AutoCloseable {
  private final M2Server server;
  private final TestApi api;

  private TestServer(M2Server server, TestApi api) {
    this.server = server;
    this.api = api;
  }

  static TestServer start(Path data) throws Exception {
    return start(data, Map.of());
  }

  static TestServer start(Path data, Map<Setting, String> more) throws Exception {
    Map<Setting, String> flags = new EnumMap<>(Setting.class);
    flags.put(Setting.DATA, data.toString());
    flags.put(Setting.HTTP, "127.0.0.1:0");
    flags.put(Setting.BOOT_HTTP, "127.0.0.1:0");
    flags.put(Setting.ISCSI, "127.0.0.1:0");
    flags.putAll(more);
    Settings settings = Settings.read(flags, Map.of(), "");
    M2Server server = M2Server.start(settings);
    try {
      String token = Files.readString(data.resolve("admin-token")).strip();
      return new TestServer(server, new TestApi(server.addresses().apiUrl(), token));
    } catch (IOException | InterruptedException | RuntimeException e) {
      server.close();
      throw e;
    }
  }

  TestApi api() {
    return api;
  }

  Addresses addresses() {
    return server.addresses();
  }

  Nodes nodes() {
    return server.control().nodes();
  }

  /** What should not be there, see {@link io.malleable.control.Control#inconsistencies}. */
  List<String> inconsistencies() throws IOException {
    return server.control().inconsistencies();
  }

  /** A small raw image whose every 512-byte sector says where it is. */
  static Path image(Path file, int sizeMiB) throws IOException {
    byte[] content = new byte[sizeMiB << 20];
    for (int sector = 0; sector < content.length / 512; sector++) {
      content[sector * 512] = (byte) sector;
      content[sector * 512 + 1] = (byte) (sector >> 8);
    }
    return Files.write(file, content);
  }

  @Override
  public void close() {
    api.close();
    server.close();
  }
}
