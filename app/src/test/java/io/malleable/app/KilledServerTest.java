package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A real server process that dies between two steps of an operation, as by a power cut, and another
 * start on the same data: no orphan, nothing stuck. All kinds and points are tried in one process
 * by the control room's own tests; this is the same with real files, targets and processes.
 */
final class KilledServerTest {
  private static final int KILLED = 137;
  private static final String MAC = "52:54:00:00:07:01";

  @TempDir private Path directory;
  private Path data;

  @BeforeEach
  void prepare() throws Exception {
    data = directory.resolve("data");
    Path file = TestServer.image(directory.resolve("base.raw"), 1);
    try (TestServer server = TestServer.start(data)) {
      TestApi api = server.api();
      api.succeeded(
          api.post(
              "/v1/images", "{'name':'base','format':'raw','source':{'path':'" + file + "'}}"));
      api.post("/v1/nodes", "{'name':'n','nics':[{'mac':'" + MAC + "'}]}").expect(201);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "clone:before",
        "clone:after",
        "expose:before",
        "expose:after",
        "power-on:before",
        "power-on:after"
      })
  void aKilledProvisionIsFinishedOrUndone(String point) throws Exception {
    dieAt("node-provision:" + point, "/v1/nodes/n/provision", "{'image':'base'}");
    try (TestServer server = TestServer.start(data)) {
      TestApi api = server.api();
      JsonNode operation = settled(api, "node-provision");
      if (operation.path("state").asText().equals("waiting")) {
        assertEquals("n", api.get("/v1/nodes/n").body().path("disk").asText());
        assertEquals(List.of(), server.inconsistencies());
        api.succeeded(api.post("/v1/nodes/n/release", "{'deleteDisk':true}"));
        assertEquals("aborted", settled(api, "node-provision").path("state").asText());
      }
      assertEquals("free", api.get("/v1/nodes/n").body().path("state").asText());
      assertEquals(List.of(), api.names("/v1/disks", 10));
      assertEquals(List.of(), server.inconsistencies());
      // Whatever was cut off, the node can be used again.
      api.post("/v1/nodes/n/provision", "{'image':'base'}").expect(202);
      assertEquals("waiting", settled(api, "node-provision").path("state").asText());
      assertEquals(List.of(), server.inconsistencies());
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "power-off:before",
        "power-off:after",
        "withdraw:before",
        "withdraw:after",
        "detach:before",
        "detach:after"
      })
  void aKilledReleaseIsFinished(String point) throws Exception {
    try (TestServer server = TestServer.start(data)) {
      server.api().post("/v1/nodes/n/provision", "{'image':'base'}").expect(202);
      settled(server.api(), "node-provision");
    }
    dieAt("node-release:" + point, "/v1/nodes/n/release", "");
    try (TestServer server = TestServer.start(data)) {
      TestApi api = server.api();
      assertEquals("succeeded", settled(api, "node-release").path("state").asText());
      assertEquals("free", api.get("/v1/nodes/n").body().path("state").asText());
      assertEquals("ready", api.get("/v1/disks/n").body().path("state").asText());
      assertEquals(List.of(), server.inconsistencies());
    }
  }

  private void dieAt(String fault, String path, String body) throws Exception {
    try (ServeProcess server = ServeProcess.start(data, Map.of("M2_FAULT", fault));
        TestApi api = server.api()) {
      try {
        api.post(path, body);
      } catch (IOException e) {
        // The answer may die with the server.
      }
      assertEquals(KILLED, server.awaitExit(), server::log);
    }
  }

  /** The latest operation of that kind, once it is over or waits for a machine. */
  private static JsonNode settled(TestApi api, String kind) throws Exception {
    JsonNode operations = api.get("/v1/operations").expect(200).body().path("items");
    for (JsonNode operation : operations) {
      if (operation.path("kind").asText().equals(kind)) {
        String location = "/v1/operations/" + operation.path("id").asText();
        JsonNode now = api.get(location).body();
        while (Set.of("queued", "running", "aborting").contains(now.path("state").asText())) {
          now = api.get(location + "?wait=1").body();
        }
        return now;
      }
    }
    assertTrue(false, "no " + kind + " in " + operations);
    return operations;
  }
}
