package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code m2 serve} as a process: how it starts, how it refuses to, how it stops. */
final class ServeCommandTest {
  @TempDir private Path directory;

  @Test
  void aServerThatCannotServeLoadersSaysSoAtItsStart() throws Exception {
    Path none = Files.createDirectories(directory.resolve("loaders"));
    Files.writeString(none.resolve("ipxe.efi"), "there");
    ServeProcess server =
        ServeProcess.launch(
            directory.resolve("data"),
            Map.of(),
            "--tftp",
            "127.0.0.1:0",
            "--loaders",
            none.toString());
    assertEquals(1, server.awaitExit(), server::log);
    assertTrue(server.log().contains("not in " + none + ": undionly.kpxe"), server::log);
    assertTrue(server.log().contains("package ipxe"), server::log);
  }

  @Test
  void aServerSaysWhereItIsAndStopsWhenToldTo() throws Exception {
    Path data = directory.resolve("data");
    try (ServeProcess server = ServeProcess.start(data, Map.of())) {
      String token = Files.readString(data.resolve("admin-token")).strip();
      assertTrue(
          server.log().contains("http://" + server.run().path("http").asText()), server::log);
      assertTrue(server.log().contains(data.resolve("admin-token").toString()), server::log);
      assertFalse(server.log().contains(token), "the token is not shown");
      assertTrue(server.run().path("bootHttp").asText().startsWith("127.0.0.1:"));
      assertTrue(server.run().path("iscsi").asText().startsWith("127.0.0.1:"));

      ServeProcess second = ServeProcess.launch(data, Map.of());
      assertEquals(1, second.awaitExit(), second::log);
      assertTrue(
          second.log().contains("in use by process " + server.run().path("pid").asText()),
          second::log);

      for (String flag : new String[] {"http", "bootHttp", "iscsi"}) {
        String option = flag.equals("bootHttp") ? "--boot-http" : "--" + flag;
        ServeProcess other =
            ServeProcess.launch(
                directory.resolve("other"), Map.of(), option, server.run().path(flag).asText());
        assertEquals(1, other.awaitExit(), other::log);
        assertTrue(other.log().contains("m2 serve: " + option + ": cannot listen"), other::log);
      }
      assertEquals(0, server.stop(), server::log);
      assertTrue(server.log().contains("stopped"), server::log);
      assertFalse(Files.exists(data.resolve("run.json")));
    }
  }

  @Test
  void neitherAStopNorAKillLeavesFilesForTemporaryUse() throws Exception {
    Path data = directory.resolve("data");
    Path temporary = Files.createDirectory(directory.resolve("tmp"));
    Map<String, String> environment = Map.of("JAVA_TOOL_OPTIONS", "-Djava.io.tmpdir=" + temporary);
    try (ServeProcess server = ServeProcess.start(data, environment)) {
      server.kill();
    }
    try (ServeProcess server = ServeProcess.start(data, environment)) {
      assertEquals(0, server.stop(), server::log);
    }
    try (ServeProcess server = ServeProcess.start(data, environment);
        Stream<Path> left = Files.list(temporary);
        Stream<Path> libraries = Files.list(data.resolve("sqlite"))) {
      assertEquals(List.of(), left.toList(), server::log);
      assertEquals(
          1, libraries.filter(file -> file.toString().endsWith(".so")).count(), "of this start");
    }
  }

  @Test
  void aServerThatCannotLoadSqliteSaysWhereItMay() throws Exception {
    Path absent = directory.resolve("absent");
    ServeProcess server =
        ServeProcess.launch(
            directory.resolve("data"),
            Map.of("JAVA_TOOL_OPTIONS", "-Dorg.sqlite.tmpdir=" + absent));
    assertEquals(1, server.awaitExit(), server::log);
    assertTrue(server.log().contains("cannot be loaded from " + absent), server::log);
    assertTrue(server.log().contains("M2_JAVA_OPTS=-Dorg.sqlite.tmpdir=DIR"), server::log);
  }

  @Test
  void settingsThatCannotBeUsedAreAllNamedAndNothingStarts() throws Exception {
    Path data = directory.resolve("data");
    ServeProcess server =
        ServeProcess.launch(data, Map.of(), "--http", "nowhere", "--log-level", "loud");
    assertEquals(2, server.awaitExit(), server::log);
    assertTrue(server.log().contains("--http: 'nowhere'"), server::log);
    assertTrue(server.log().contains("--log-level: 'loud'"), server::log);
    assertFalse(Files.exists(data.resolve("lock")));
  }

  @Test
  void aRestartKeepsTokenNodesAndTargets() throws Exception {
    Path data = directory.resolve("data");
    Path file = TestServer.image(directory.resolve("base.raw"), 1);
    String token;
    com.fasterxml.jackson.databind.JsonNode exposed;
    String iscsi;
    try (TestServer server = TestServer.start(data)) {
      TestApi api = server.api();
      token = Files.readString(data.resolve("admin-token"));
      api.succeeded(
          api.post(
              "/v1/images", "{'name':'base','format':'raw','source':{'path':'" + file + "'}}"));
      api.post("/v1/disks", "{'name':'d','image':'base'}").expect(201);
      exposed = api.post("/v1/disks/d/expose", "").expect(200).body().path("iscsi");
      iscsi = server.addresses().iscsi().toString();
      assertTrue(exposed.path("url").asText().contains(iscsi));
    }
    try (TestServer server = TestServer.start(data)) {
      assertEquals(token, Files.readString(data.resolve("admin-token")));
      var after = server.api().get("/v1/disks/d").expect(200).body().path("iscsi");
      assertEquals(exposed.path("password"), after.path("password"));
      assertEquals(exposed.path("target"), after.path("target"));
      assertEquals(java.util.List.of(), server.inconsistencies());
    }
  }
}
