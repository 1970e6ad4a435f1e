package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What one machine reserves on a disk, and when another may write to it again. */
final class ReservationsTest {
  private static final String FIRST = "iqn.2026-11.test:first";
  private static final String OTHER = "iqn.2026-11.test:other";
  private static final long KEY = 0xfeedL;
  private static final byte[] BLOCK = new byte[512];
  private static final Duration LIMIT = Duration.ofMinutes(1);

  @TempDir private Path directory;

  @Test
  void theyEndWithdrawnOrRolledBackOrDeleted() throws Exception {
    try (TestServer server = TestServer.start(directory.resolve("data"))) {
      TestApi api = server.api();
      importBase(api);
      api.post("/v1/disks", "{'name':'d','image':'base'}").expect(201);
      api.post("/v1/snapshots", "{'name':'s','disk':'d'}").expect(201);
      reserve(expose(api), FIRST);
      assertShutOut(disk(api, "d"), OTHER);

      api.post("/v1/disks/d/withdraw", "").expect(200);
      assertEquals(List.of(), files());
      assertWrites(expose(api), OTHER);

      reserve(disk(api, "d"), FIRST);
      assertShutOut(disk(api, "d"), OTHER);
      api.post("/v1/disks/d/rollback", "{'snapshot':'s'}").expect(200);
      assertEquals(List.of(), files());
      assertWrites(disk(api, "d"), OTHER);

      reserve(disk(api, "d"), FIRST);
      api.post("/v1/disks/d/withdraw", "").expect(200);
      api.delete("/v1/snapshots/s").expect(204);
      api.delete("/v1/disks/d?purge=true").expect(204);
      assertEquals(List.of(), files());
      api.post("/v1/disks", "{'name':'d','image':'base'}").expect(201);
      assertWrites(expose(api), OTHER);
    }
  }

  @Test
  void theyDoNotFollowADiskToAnotherNode() throws Exception {
    try (TestServer server = TestServer.start(directory.resolve("data"))) {
      TestApi api = server.api();
      importBase(api);
      for (int i = 1; i <= 2; i++) {
        api.post("/v1/nodes", "{'name':'n" + i + "','nics':[{'mac':'52:54:00:00:0e:0" + i + "'}]}")
            .expect(201);
      }
      api.post("/v1/nodes/n1/provision", "{'image':'base'}").expect(202);
      JsonNode before = drive(server, "52:54:00:00:0e:01");
      reserve(before, before.path("initiator").asText());
      assertEquals(1, files().size());
      api.post("/v1/nodes/n1/failover", "{'to':'n2'}").expect(202);
      JsonNode after = drive(server, "52:54:00:00:0e:02");
      assertWrites(after, after.path("initiator").asText());
      assertEquals(List.of(), files());
    }
  }

  @Test
  void theyOutliveTheServerAndAreShownAndCleared() throws Exception {
    String iscsiAddress;
    try (TestServer server = TestServer.start(directory.resolve("data"))) {
      TestApi api = server.api();
      importBase(api);
      api.post("/v1/disks", "{'name':'d','image':'base'}").expect(201);
      reserve(expose(api), FIRST);
      iscsiAddress = server.addresses().iscsi().toString();
    }
    try (TestServer server =
        TestServer.start(directory.resolve("data"), Map.of(Setting.ISCSI, iscsiAddress))) {
      TestApi api = server.api();
      assertShutOut(disk(api, "d"), OTHER);
      String shown = server.m2("disk reservations d");
      assertTrue(shown.contains("exclusive-access"), shown);
      String holder = shown.lines().filter(line -> line.contains(FIRST)).findFirst().orElseThrow();
      assertTrue(holder.matches(FIRST + " +80004d320001 +0x000000000000feed +yes *"), holder);

      try (Initiator first = Initiator.login(disk(api, "d"), FIRST)) {
        assertEquals(Initiator.GOOD, write(first).status());
        server.m2("disk reservations d --clear");
        Initiator.Answer told = write(first);
        // RESERVATIONS PREEMPTED, as after CLEAR (SPC-4 5.13.11.6).
        assertEquals(Initiator.UNIT_ATTENTION, told.senseKey(), told::toString);
        assertEquals(0x2a03, told.code(), told::toString);
        assertEquals(Initiator.GOOD, write(first).status());
        assertWrites(disk(api, "d"), OTHER);
      }
      assertEquals(List.of(), files());
      assertTrue(server.m2("disk reservations d").contains("no persistent reservations"));
      assertTrue(server.m2("event list").contains("disk.reservations-cleared"));
    }
  }

  private void importBase(TestApi api) throws Exception {
    Path file = TestServer.image(directory.resolve("base.raw"), 1);
    api.succeeded(
        api.post("/v1/images", "{'name':'base','format':'raw','source':{'path':'" + file + "'}}"));
  }

  private static JsonNode expose(TestApi api) throws Exception {
    return api.post("/v1/disks/d/expose", "").expect(200).body().path("iscsi");
  }

  private static JsonNode disk(TestApi api, String name) throws Exception {
    return api.get("/v1/disks/" + name).expect(200).body().path("iscsi");
  }

  /** How a node reaches its drive, as its boot script says, once there is one. */
  private static JsonNode drive(TestServer server, String mac) throws Exception {
    HttpRequest request =
        HttpRequest.newBuilder(
                URI.create(
                    "http://%s/boot/%s.ipxe"
                        .formatted(server.addresses().bootHttp(), mac.replace(':', '-'))))
            .build();
    HttpClient client = server.api().client();
    AtomicReference<String> script = new AtomicReference<>("");
    Patience.await(
        System.out,
        LIMIT,
        "there is a drive for " + mac,
        () -> {
          script.set(client.send(request, HttpResponse.BodyHandlers.ofString()).body());
          return script.get().contains("sanboot");
        });
    return TestApi.JSON
        .createObjectNode()
        .put("portal", server.addresses().iscsi().toString())
        .put("target", found(script.get(), "(iqn\\.2026-11\\.io\\.malleable:[0-9a-f-]{36})"))
        .put("initiator", found(script.get(), "(?m)^set initiator-iqn (\\S+)"))
        .put("username", found(script.get(), "(?m)^set username (\\S+)"))
        .put("password", found(script.get(), "(?m)^set password (\\S+)"));
  }

  private static String found(String text, String pattern) {
    Matcher matcher = Pattern.compile(pattern).matcher(text);
    assertTrue(matcher.find(), () -> pattern + " in " + text);
    return matcher.group(1);
  }

  /** What is kept of reservations. */
  private List<String> files() throws IOException {
    try (Stream<Path> files = Files.list(directory.resolve("data").resolve("reservations"))) {
      return files.map(file -> file.getFileName().toString()).toList();
    }
  }

  private static void reserve(JsonNode iscsi, String name) throws IOException {
    try (Initiator initiator = Initiator.login(iscsi, name)) {
      assertEquals(
          Initiator.GOOD,
          initiator.execute(Cdb.registerKey(), Cdb.reservationKeys(0, KEY), 0).status());
      assertEquals(
          Initiator.GOOD,
          initiator.execute(Cdb.reserve(), Cdb.reservationKeys(KEY, 0), 0).status());
    }
  }

  private static Initiator.Answer write(Initiator initiator) throws IOException {
    return initiator.execute(Cdb.write(0, 1), BLOCK, 0);
  }

  private static void assertShutOut(JsonNode iscsi, String name) throws IOException {
    try (Initiator initiator = Initiator.login(iscsi, name)) {
      assertEquals(Initiator.RESERVATION_CONFLICT, write(initiator).status());
    }
  }

  private static void assertWrites(JsonNode iscsi, String name) throws IOException {
    try (Initiator initiator = Initiator.login(iscsi, name)) {
      Initiator.Answer answer = write(initiator);
      assertEquals(Initiator.GOOD, answer.status(), answer::toString);
    }
  }
}
