package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.malleable.control.Nodes;
import io.malleable.volume.VolumeStore;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;

/** A whole server in the test's own process, on free ports of 127.0.0.1. */
final class TestServer implements AutoCloseable {
  private final Path data;
  private final M2Server server;
  private final TestApi api;

  private TestServer(Path data, M2Server server, TestApi api) {
    this.data = data;
    this.server = server;
    this.api = api;
  }

  static TestServer start(Path data) throws Exception {
    return start(data, Map.of());
  }

  static TestServer start(Path data, Map<Setting, String> more) throws Exception {
    return start(data, more, UnaryOperator.identity());
  }

  /** On what is made of its volume store. */
  static TestServer start(Path data, Map<Setting, String> more, UnaryOperator<VolumeStore> around)
      throws Exception {
    Map<Setting, String> flags = new EnumMap<>(Setting.class);
    flags.put(Setting.DATA, data.toString());
    flags.put(Setting.HTTP, "127.0.0.1:0");
    flags.put(Setting.BOOT_HTTP, "127.0.0.1:0");
    flags.put(Setting.ISCSI, "127.0.0.1:0");
    flags.putAll(more);
    Settings settings = Settings.read(flags, Map.of(), "");
    M2Server server = M2Server.start(settings, around);
    try {
      String token = Files.readString(data.resolve("admin-token")).strip();
      return new TestServer(data, server, new TestApi(server.addresses().apiUrl(), token));
    } catch (IOException | InterruptedException | RuntimeException e) {
      server.close();
      throw e;
    }
  }

  TestApi api() {
    return api;
  }

  /** By which commands find this server. */
  Map<String, String> environment() {
    return Map.of(
        "M2_URL", addresses().apiUrl().toString(),
        "M2_TOKEN_FILE", data.resolve("admin-token").toString());
  }

  /** What a command prints, which must succeed. */
  String m2(String words) {
    Outcome outcome = Outcome.of(environment(), Map.of(), words.split(" ", -1));
    assertEquals(0, outcome.status(), () -> "m2 " + words + ": " + outcome);
    return outcome.out();
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
