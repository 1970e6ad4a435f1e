package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Exposed disks and nodes after the host of the server went down, with QEMU's initiator. */
final class HostCrashTest {
  private static final Duration LOGIN_LIMIT = Duration.ofMinutes(1);

  @TempDir private Path directory;

  @Test
  void onlyTheNewSecretOpensADiskWithAWriteCacheAfterwards() throws Exception {
    Path file = TestServer.image(directory.resolve("base.raw"), 1);
    String iscsi;
    String cached;
    String through;
    UUID cachedId;
    UUID throughId;
    try (TestServer server = TestServer.start(directory.resolve("data"))) {
      TestApi api = server.api();
      api.succeeded(
          api.post(
              "/v1/images", "{'name':'base','format':'raw','source':{'path':'" + file + "'}}"));
      cachedId = disk(api, "cached");
      throughId = disk(api, "through");
      JsonNode exposed = api.post("/v1/disks/cached/expose", "{'writeCache':true}").body();
      assertTrue(exposed.path("writeCache").asBoolean(), exposed.toString());
      cached = url(exposed);
      JsonNode plain = api.post("/v1/disks/through/expose", "").expect(200).body();
      assertFalse(plain.path("writeCache").asBoolean(true), plain.toString());
      through = url(plain);
      api.post("/v1/disks/through/expose", "{'writeCache':false}").expect(200);
      api.post("/v1/disks/through/expose", "{'writeCache':true}")
          .expectProblem(409, "DISK_EXPOSED");
      write(cached, 1);
      write(through, 2);
      iscsi = server.addresses().iscsi().toString();
    }
    InterruptedStore store = new InterruptedStore(cachedId, throughId);
    try (TestServer server =
        TestServer.start(directory.resolve("data"), Map.of(Setting.ISCSI, iscsi), store)) {
      assertEquals(Set.of(), store.remembered());
      assertNotEquals(0, Programs.status(List.of("iscsi-inq", cached)), "the old secret");
      Programs.run(List.of("iscsi-inq", through));
      TestApi api = server.api();
      JsonNode disk = api.get("/v1/disks/cached").expect(200).body();
      assertTrue(disk.path("writesLost").path("reason").asText().contains("host"), disk.toString());
      String shown = server.m2("disk show cached");
      assertTrue(shown.contains("write cache on"), shown);
      assertTrue(shown.contains("writes lost since"), shown);
      assertFalse(api.get("/v1/disks/through").body().has("writesLost"));
      String events = server.m2("event list");
      assertTrue(events.contains("disk.writes-lost"), events);
      assertEquals(url(disk).split("%", 2)[0], cached.split("%", 2)[0], "the same account");
      Programs.run(List.of("qemu-io", "-f", "raw", "-c", "read -P 1 0 4096", url(disk)));
      Patience.await(
          System.out,
          LOGIN_LIMIT,
          "the login with the new secret is noted",
          () -> !api.get("/v1/disks/cached").body().has("writesLost"));
    }
  }

  private static UUID disk(TestApi api, String name) throws Exception {
    JsonNode disk =
        api.post("/v1/disks", "{'name':'" + name + "','image':'base'}").expect(201).body();
    return UUID.fromString(disk.path("id").asText());
  }

  private static void write(String url, int pattern) throws Exception {
    Programs.run(List.of("qemu-io", "-f", "raw", "-c", "write -P " + pattern + " 0 4096", url));
  }

  private static String url(JsonNode disk) {
    JsonNode iscsi = disk.path("iscsi");
    String account = iscsi.path("username").asText() + "%" + iscsi.path("password").asText();
    return iscsi.path("url").asText().replace("iscsi://", "iscsi://" + account + "@");
  }

  @Test
  void aNodeSaysWhatItDoesAfterACrashAndChangesThatOnlyWhileItIsFree() throws Exception {
    Path file = TestServer.image(directory.resolve("base.raw"), 1);
    try (TestServer server = TestServer.start(directory.resolve("data"))) {
      TestApi api = server.api();
      api.succeeded(
          api.post(
              "/v1/images", "{'name':'base','format':'raw','source':{'path':'" + file + "'}}"));
      server.m2("node add n --mac 52:54:00:00:08:01 --after-host-crash write-through");
      assertEquals("write-through", api.get("/v1/nodes/n").body().path("afterHostCrash").asText());
      server.m2("node set n --after-host-crash reboot");
      assertTrue(server.m2("node show n").contains("host crash  reboot"));
      api.patch("/v1/nodes/n", "{'afterHostCrash':'pray'}").expectProblem(400, "FIELD_INVALID");
      api.post("/v1/nodes/n/provision", "{'image':'base'}").expect(202);
      Patience.await(
          System.out,
          LOGIN_LIMIT,
          "the node waits for its machine",
          () -> api.get("/v1/nodes/n").body().path("state").asText().equals("provisioned"));
      JsonNode refusal =
          api.patch("/v1/nodes/n", "{'afterHostCrash':'write-through'}")
              .expectProblem(409, "NODE_BUSY")
              .body();
      assertTrue(refusal.path("hint").asText().contains("operation"), refusal.toString());
      api.patch("/v1/nodes/n", "{'afterHostCrash':'reboot'}").expect(200);
    }
  }
}
