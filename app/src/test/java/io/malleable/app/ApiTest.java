package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.malleable.app.TestApi.Reply;
import io.malleable.hardware.Firmware;
import io.malleable.hardware.MachineDefinition;
import java.net.http.HttpRequest.BodyPublishers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/** The life of every resource over real HTTP; each answer is held against openapi.yaml. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
final class ApiTest {
  private Path directory;
  private TestServer server;
  private TestApi api;
  private Path file;

  @BeforeAll
  void start(@TempDir Path temporary) throws Exception {
    directory = temporary;
    file = TestServer.image(directory.resolve("base.raw"), 4);
    server = TestServer.start(directory.resolve("the data"));
    api = server.api();
    api.succeeded(
        api.post("/v1/images", "{'name':'base','format':'raw','source':{'path':'" + file + "'}}"));
  }

  @AfterAll
  void stop() {
    server.close();
  }

  @Test
  void theSystemSaysWhatItIsAndWhere() throws Exception {
    JsonNode system = api.get("/v1/system").expect(200).body();
    assertEquals(
        server.addresses().iscsi().toString(), system.path("addresses").path("iscsi").asText());
    assertEquals(
        "http://" + server.addresses().bootHttp(), system.path("addresses").path("boot").asText());
    assertTrue(system.path("capacity").path("availableBytes").asLong() > 0, system::toString);
    assertTrue(system.path("counts").path("images").asLong() >= 1, system::toString);
    assertTrue(Files.isDirectory(Path.of(system.path("labDirectory").asText())));
  }

  @Test
  void healthNeedsNoTokenAndTheRestDoes() throws Exception {
    String[] nobody = {"Authorization", "none"};
    api.get("/healthz", nobody).expect(200);
    api.get("/readyz", nobody).expect(200);
    assertTrue(api.get("/metrics", nobody).expect(200).raw().body().contains("m2_iscsi_sessions"));
    Reply refused = api.get("/v1/system", nobody).expectProblem(401, "TOKEN_WRONG");
    assertTrue(refused.header("WWW-Authenticate").startsWith("Bearer"));
    api.get("/v1/system", "Authorization", "Bearer x").expectProblem(401, "TOKEN_WRONG");
    String metrics = api.get("/metrics").raw().body();
    assertFalse(metrics.contains("m2_api_token_failures_total 0.0"), metrics);
  }

  @Test
  void aProjectLivesAndHoldsItsOwn() throws Exception {
    Reply made = api.post("/v1/projects", "{'name':'lab'}").expect(201);
    assertEquals("/v1/projects/" + made.body().path("id").asText(), made.header("Location"));
    api.post("/v1/projects", "{'name':'lab'}").expectProblem(409, "NAME_TAKEN");
    assertEquals(made.body(), api.get("/v1/projects/lab").expect(200).body());
    String[] lab = {"M2-Project", "lab"};
    api.post("/v1/nodes", "{'name':'own','nics':[{'mac':'52:54:00:00:01:01'}]}", lab).expect(201);
    api.get("/v1/nodes/own").expectProblem(404, "NOT_FOUND");
    api.get("/v1/images/base", lab).expectProblem(404, "NOT_FOUND");
    api.patch("/v1/images/base", "{'public':true}").expect(200);
    api.get("/v1/images/base", lab).expect(200);
    api.patch("/v1/images/base", "{'public':false}", lab).expectProblem(409, "IMAGE_NOT_OWNED");
    api.patch("/v1/images/base", "{'public':false}").expect(200);
    api.delete("/v1/projects/lab").expectProblem(409, "PROJECT_NOT_EMPTY");
    api.delete("/v1/nodes/own", lab).expect(204);
    api.delete("/v1/projects/lab").expect(204);
    api.get("/v1/nodes", "M2-Project", "lab").expectProblem(404, "NOT_FOUND");
    api.delete("/v1/projects/default").expectProblem(409, "PROJECT_BUILT_IN");
  }

  @Test
  void anImageLivesAndIsKeptWhileSomethingLivesOnIt() throws Exception {
    Reply accepted =
        api.post("/v1/images", "{'name':'gold','format':'raw','source':{'path':'" + file + "'}}");
    JsonNode operation = api.succeeded(accepted);
    assertEquals("image-import", operation.path("kind").asText());
    assertEquals(1.0, operation.path("progress").asDouble());
    Reply image = api.get("/v1/images/gold").expect(200);
    assertEquals("ready", image.body().path("state").asText());
    assertEquals(4L << 20, image.body().path("sizeBytes").asLong());
    api.post("/v1/disks", "{'name':'of-gold','image':'gold'}").expect(201);
    api.delete("/v1/images/gold").expectProblem(409, "IMAGE_HAS_CLONES");
    api.delete("/v1/disks/of-gold?purge=true").expect(204);
    api.delete("/v1/images/gold").expect(204);
    api.get("/v1/images/gold").expectProblem(404, "NOT_FOUND");
  }

  @Test
  void anImageIsSharedCopiedMovedAndDeletedWithWhatLivesOnIt() throws Exception {
    api.succeeded(
        api.post("/v1/images", "{'name':'ours','format':'raw','source':{'path':'" + file + "'}}"));
    api.post("/v1/projects", "{'name':'guest'}").expect(201);
    String[] guest = {"M2-Project", "guest"};
    api.get("/v1/images/default%2Fours", guest).expectProblem(404, "NOT_FOUND");
    Reply shared = api.send("PUT", "/v1/images/ours/shares/guest", null).expect(200);
    assertEquals("[\"guest\"]", shared.body().path("sharedWith").toString());
    assertEquals(shared.body(), api.send("PUT", "/v1/images/ours/shares/guest", null).body());
    api.send("PUT", "/v1/images/ours/shares/none", null).expectProblem(404, "NOT_FOUND");
    api.send("PUT", "/v1/images/ours/shares/default", null).expectProblem(400, "FIELD_INVALID");
    JsonNode seen = api.get("/v1/images/default%2Fours", guest).expect(200).body();
    for (String hidden : List.of("sharedWith", "source", "parent", "lineage")) {
      assertFalse(seen.has(hidden), hidden);
    }
    api.send("PUT", "/v1/images/default%2Fours/shares/default", null, guest)
        .expectProblem(409, "IMAGE_NOT_OWNED");
    api.post("/v1/disks", "{'name':'g','image':'default/ours'}", guest).expect(201);
    Reply copy = api.post("/v1/images/default%2Fours/copy", "{}", guest).expect(201);
    assertEquals("guest", copy.body().path("project").asText());
    api.post("/v1/images/ours/copy", "{'mode':'deep'}").expectProblem(400, "FIELD_INVALID");
    settle(api.post("/v1/images/ours/copy", "{'project':'guest','name':'own','mode':'full'}"));
    JsonNode own = api.get("/v1/images/own", guest).expect(200).body();
    assertEquals("[]", own.path("lineage").toString());
    assertEquals(seen.path("sha256"), own.path("sha256"));
    api.send("DELETE", "/v1/images/ours/shares/guest", null).expect(200);
    api.post("/v1/disks", "{'name':'h','image':'default/ours'}", guest)
        .expectProblem(404, "NOT_FOUND");
    api.delete("/v1/images/ours?cascade=true").expectProblem(409, "IMAGE_HAS_CLONES");
    api.delete("/v1/disks/g?purge=true", guest).expect(204);
    api.post("/v1/images/ours/move", "{'project':'guest'}").expectProblem(409, "NAME_TAKEN");
    Reply moved =
        api.post("/v1/images/ours/move", "{'project':'guest','name':'theirs'}").expect(200);
    assertEquals("guest", moved.body().path("project").asText());
    api.get("/v1/images/ours").expectProblem(404, "NOT_FOUND");
    JsonNode space = api.get("/v1/system").body().path("capacity");
    assertTrue(space.path("sharedBytes").asLong() > 0, space::toString);
    settle(api.delete("/v1/images/theirs?cascade=true", guest), guest);
    assertEquals(1, api.get("/v1/images", guest).body().path("items").size(), "the full copy");
    api.delete("/v1/images/own", guest).expect(204);
    api.delete("/v1/projects/guest").expect(204);
  }

  @Test
  void aChangeNeedsTheRevisionThatItWasMadeFor() throws Exception {
    Reply node =
        api.post("/v1/nodes", "{'name':'etag','nics':[{'mac':'52:54:00:00:02:01'}]}").expect(201);
    String first = node.header("ETag");
    Reply changed =
        api.patch("/v1/nodes/etag", "{'firmware':'uefi'}", "If-Match", first).expect(200);
    assertEquals("uefi", changed.body().path("firmware").asText());
    api.patch("/v1/nodes/etag", "{'firmware':'bios'}", "If-Match", first)
        .expectProblem(412, "REVISION_CHANGED");
    api.patch("/v1/nodes/etag", "{'firmware':'bios'}", "If-Match", "soon")
        .expectProblem(400, "PARAMETER_INVALID");
    api.patch("/v1/nodes/etag", "{'bmc':'qemu:etag'}").expect(200);
    Reply without = api.patch("/v1/nodes/etag", "{'bmc':null}").expect(200);
    assertFalse(without.body().has("bmc"), without.body()::toString);
    api.delete("/v1/nodes/etag").expect(204);
  }

  @Test
  void aDiskGoesThroughItsWholeLife() throws Exception {
    Reply made =
        api.post("/v1/disks", "{'name':'life','image':'base','sizeBytes':8388608}").expect(201);
    assertEquals("base", made.body().path("parent").asText());
    assertEquals(8_388_608, made.body().path("sizeBytes").asLong());
    JsonNode grown = api.patch("/v1/disks/life", "{'sizeBytes':16777216}").expect(200).body();
    assertEquals(16_777_216, grown.path("sizeBytes").asLong());
    api.patch("/v1/disks/life", "{'sizeBytes':512}").expectProblem(400, "SIZE_INVALID");
    api.post("/v1/snapshots", "{'name':'then','disk':'life'}").expect(201);
    api.post("/v1/snapshots", "{'name':'then','disk':'life'}").expectProblem(409, "NAME_TAKEN");
    api.post("/v1/disks/life/rollback", "{'snapshot':'then'}").expect(200);
    Reply promoted = api.post("/v1/snapshots/then/promote", "{'name':'golden'}").expect(201);
    assertEquals("then", promoted.body().path("parent").asText());
    api.post("/v1/disks", "{'name':'second','snapshot':'then'}").expect(201);
    api.delete("/v1/snapshots/then").expectProblem(409, "SNAPSHOT_HAS_CLONES");
    assertEquals(List.of("then"), api.names("/v1/snapshots", 10));
    assertEquals("life", api.get("/v1/snapshots/then").body().path("disk").asText());
    api.delete("/v1/disks/second").expect(204);
    api.get("/v1/disks/second").expectProblem(404, "NOT_FOUND");
    JsonNode trash = api.get("/v1/disks?deleted=true").expect(200).body();
    assertTrue(trash.path("items").findValuesAsText("name").contains("second"), trash::toString);
    api.post("/v1/disks/second/undelete", "").expect(200);
    api.post("/v1/disks/second/flatten", "").expect(200);
    assertFalse(api.get("/v1/disks/second").expect(200).body().has("parent"));
    api.patch("/v1/disks/second", "{'name':'third'}").expect(200);
    api.delete("/v1/disks/third?purge=true").expect(204);
    api.delete("/v1/images/golden").expect(204);
    api.delete("/v1/snapshots/then").expect(204);
    api.delete("/v1/disks/life?purge=true").expect(204);
  }

  @Test
  void anExposedDiskSaysHowToReachItAndOnlyThere() throws Exception {
    api.post("/v1/disks", "{'name':'open','image':'base'}").expect(201);
    JsonNode exposed = api.post("/v1/disks/open/expose", "").expect(200).body();
    JsonNode iscsi = exposed.path("iscsi");
    assertEquals(
        "iqn.2026-11.io.malleable:" + exposed.path("id").asText(), iscsi.path("target").asText());
    assertEquals(server.addresses().iscsi().toString(), iscsi.path("portal").asText());
    assertEquals(
        "iscsi://" + iscsi.path("portal").asText() + "/" + iscsi.path("target").asText() + "/0",
        iscsi.path("url").asText());
    assertTrue(iscsi.path("password").asText().matches("[A-Za-z0-9]{24}"), "24 of 62 characters");
    assertEquals(iscsi, api.post("/v1/disks/open/expose", "").expect(200).body().path("iscsi"));
    String secret = iscsi.path("password").asText();
    for (String path : List.of("/v1/disks", "/v1/events", "/v1/operations")) {
      assertFalse(api.get(path).raw().body().contains(secret), path);
    }
    api.delete("/v1/disks/open").expectProblem(409, "DISK_EXPOSED");
    assertFalse(api.post("/v1/disks/open/withdraw", "").expect(200).body().has("iscsi"));
    api.post("/v1/disks/open/withdraw", "").expectProblem(409, "DISK_NOT_EXPOSED");
    JsonNode again = api.post("/v1/disks/open/expose", "").expect(200).body();
    assertFalse(again.path("iscsi").path("password").asText().equals(secret), "a new secret");
    api.post("/v1/disks/open/withdraw", "").expect(200);
    api.delete("/v1/disks/open?purge=true").expect(204);
  }

  @Test
  void aNodeWithoutAPowerDriverWaitsForItsMachine() throws Exception {
    String mac = "52:54:00:00:03:01";
    api.post("/v1/nodes", "{'name':'w1','nics':[{'mac':'" + mac + "'}]}").expect(201);
    Reply provision = api.post("/v1/nodes/w1/provision", "{'image':'base'}").expect(202);
    api.post("/v1/nodes/w1/provision", "{'image':'base'}").expectProblem(409, "NODE_BUSY");
    awaitNode("w1", "waiting");
    assertTrue(bootScript(mac).contains("sanboot"), "the script of the node");
    String metrics = api.get("/metrics").raw().body();
    assertFalse(metrics.contains("m2_boot_scripts_total{drive=\"drive\"} 0.0"), metrics);
    JsonNode node = awaitNode("w1", "waiting");
    while (node.path("bootTimeline").isEmpty()) {
      node = api.get("/v1/nodes/w1").expect(200).body();
    }
    assertEquals("boot-script", node.path("bootTimeline").path(0).path("stage").asText());
    assertEquals("w1", node.path("disk").asText());
    assertEquals("attached", api.get("/v1/disks/w1").expect(200).body().path("state").asText());
    JsonNode why = api.get("/v1/nodes/w1/explain").expect(200).body();
    assertEquals("boot-script", why.path("reached").asText());
    api.delete("/v1/nodes/w1").expectProblem(409, "NODE_BUSY");
    assertEquals("unknown", api.get("/v1/nodes/w1/power").body().path("power").asText());
    api.get("/v1/nodes/w1/console").expectProblem(409, "NODE_HAS_NO_CONSOLE");
    api.post(provision.header("Location") + "/abort", "").expect(202);
    assertEquals("aborted", api.finished(provision.header("Location")).path("state").asText());
    assertFalse(bootScript(mac).contains("sanboot"));
    api.delete("/v1/nodes/w1").expect(204);
  }

  @Test
  void aConsoleThatIsFollowedEndsWithTheNode() throws Exception {
    String mac = "52:54:00:00:03:02";
    Path lab = Path.of(api.get("/v1/system").body().path("labDirectory").asText());
    MachineDefinition.onUserNetwork(mac, Firmware.BIOS, 64, "http://192.0.2.1/").write(lab, "seen");
    Files.writeString(lab.resolve("seen").resolve("console.log"), "!");
    String node = "'nics':[{'mac':'" + mac + "'}],'bmc':'qemu:seen'}";
    api.post("/v1/nodes", "{'name':'watched'," + node).expect(201);
    var console =
        api.client()
            .send(
                api.request("/v1/nodes/watched/console?follow=true").build(),
                java.net.http.HttpResponse.BodyHandlers.ofInputStream());
    try (var following = console.body()) {
      assertEquals('!', following.read());
      api.delete("/v1/nodes/watched").expect(204);
      api.post("/v1/projects", "{'name':'next'}").expect(201);
      String[] next = {"M2-Project", "next"};
      api.post("/v1/nodes", "{'name':'watched'," + node, next).expect(201);
      assertEquals(-1, following.read(), "another project's machine now");
      api.delete("/v1/nodes/watched", next).expect(204);
      api.delete("/v1/projects/next").expect(204);
    }
  }

  @Test
  void failoverGivesTheDiskToTheOtherMachineOnly() throws Exception {
    String[] macs = {"52:54:00:00:04:01", "52:54:00:00:04:02"};
    for (int i = 0; i < 2; i++) {
      api.post("/v1/nodes", "{'name':'f" + i + "','nics':[{'mac':'" + macs[i] + "'}]}").expect(201);
    }
    api.post("/v1/nodes/f0/provision", "{'image':'base'}").expect(202);
    awaitNode("f0", "waiting");
    String before = bootScript(macs[0]);
    api.post("/v1/nodes/f0/failover", "{'to':'f0'}").expectProblem(400, "FIELD_INVALID");
    api.post("/v1/nodes/f0/failover", "{'to':'f1'}").expect(202);
    awaitNode("f1", "waiting");
    String after = bootScript(macs[1]);
    assertFalse(bootScript(macs[0]).contains("sanboot"), "the first one is shut out");
    assertFalse(password(before).equals(password(after)), "with a new secret");
    assertEquals("f0", api.get("/v1/nodes/f1").body().path("disk").asText());
    api.succeeded(api.post("/v1/nodes/f1/release", "{'deleteDisk':true}"));
    api.get("/v1/disks/f0").expectProblem(404, "NOT_FOUND");
    api.delete("/v1/nodes/f0").expect(204);
    api.delete("/v1/nodes/f1").expect(204);
  }

  @Test
  void aRepeatedCallWithItsKeyDoesNothingTwice() throws Exception {
    String[] key = {"Idempotency-Key", "3f0c"};
    String body = "{'name':'once','image':'base'}";
    JsonNode first = api.post("/v1/disks", body, key).expect(201).body();
    Reply second = api.post("/v1/disks", body, key).expect(201);
    assertEquals(first, second.body());
    assertEquals("true", second.header("Idempotency-Replayed"));
    api.post("/v1/disks", "{'name':'other','image':'base'}", key)
        .expectProblem(422, "IDEMPOTENCY_KEY_REUSED");
    api.post("/v1/disks", body, "Idempotency-Key", "x".repeat(129))
        .expectProblem(400, "IDEMPOTENCY_KEY_INVALID");
    String[] other = {"Idempotency-Key", "3f0d"};
    api.delete("/v1/disks/once?purge=true", other).expect(204);
    api.delete("/v1/disks/once?purge=true", other).expect(204);
    api.delete("/v1/disks/once", other).expectProblem(422, "IDEMPOTENCY_KEY_REUSED");
  }

  @Test
  void listsComeInPages() throws Exception {
    for (int i = 0; i < 5; i++) {
      api.post(
              "/v1/nodes", "{'name':'page-" + i + "','nics':[{'mac':'52:54:00:00:05:0" + i + "'}]}")
          .expect(201);
    }
    List<String> wanted = List.of("page-0", "page-1", "page-2", "page-3", "page-4");
    for (int size : new int[] {1, 2, 5, 100}) {
      List<String> names = api.names("/v1/nodes", size);
      assertTrue(names.containsAll(wanted), names::toString);
      assertEquals(names.stream().sorted().distinct().toList(), names);
    }
    api.get("/v1/nodes?cursor=nonsense").expectProblem(400, "CURSOR_INVALID");
    api.get("/v1/nodes?limit=0").expectProblem(400, "PARAMETER_INVALID");
    api.get("/v1/nodes?limit=1001").expectProblem(400, "PARAMETER_INVALID");
    for (String name : wanted) {
      api.delete("/v1/nodes/" + name).expect(204);
    }
  }

  @Test
  void anUploadGoesOnWhereItBroke() throws Exception {
    byte[] content = Files.readAllBytes(file);
    int half = content.length / 2 + 100;
    String path = "/v1/images/sent/content";
    put(path, Arrays.copyOf(content, half), "bytes 0-" + (half - 1) + "/" + content.length)
        .expect(204);
    Reply offset = api.send("HEAD", path, null).expect(204);
    assertEquals(Integer.toString(half), offset.header("Upload-Offset"));
    Reply gap =
        put(path, new byte[10], "bytes " + (half + 1) + "-" + (half + 10) + "/" + content.length)
            .expectProblem(409, "UPLOAD_OFFSET");
    assertEquals(Integer.toString(half), gap.header("Upload-Offset"));
    byte[] rest = Arrays.copyOfRange(content, half, content.length);
    String range = "bytes " + half + "-" + (content.length - 1) + "/" + content.length;
    api.succeeded(put(path + "?format=raw", rest, range));
    JsonNode image = api.get("/v1/images/sent").expect(200).body();
    assertEquals(content.length, image.path("sizeBytes").asLong());
    assertEquals(
        api.get("/v1/images/base").body().path("sha256").asText(), image.path("sha256").asText());
    put(path + "?format=raw", content, null).expectProblem(409, "NAME_TAKEN");
    JsonNode bad =
        api.finished(
            put("/v1/images/bad/content?format=raw&sha256=" + "0".repeat(64), content, null));
    assertEquals("CHECKSUM_WRONG", bad.path("error").path("code").asText(), bad::toString);
    put("/v1/images/bad/content", new byte[0], null).expectProblem(400, "IMAGE_INVALID");
    put("/v1/images/Bad+/content", content, null).expectProblem(400, "NAME_INVALID");
    api.delete("/v1/images/sent").expect(204);
    try (var left = Files.list(directory.resolve("the data/uploads"))) {
      assertEquals(List.of(), left.map(Path::getFileName).toList(), "nothing is left behind");
    }
  }

  @Test
  void anUploadOfWhichOnlyTheAnswerWasLostNeedsNotBeSentAgain() throws Exception {
    byte[] content = Files.readAllBytes(file);
    String path = "/v1/images/whole/content";
    put(path, new byte[0], "bytes */" + content.length).expectProblem(409, "UPLOAD_OFFSET");
    // As a server that was killed just then leaves it.
    Files.createDirectories(directory.resolve("the data/uploads"));
    Files.write(directory.resolve("the data/uploads/default+whole.part"), content);
    Reply offset = api.send("HEAD", path, null).expect(204);
    assertEquals(Integer.toString(content.length), offset.header("Upload-Offset"));
    api.succeeded(put(path + "?format=raw", new byte[0], "bytes */" + content.length));
    JsonNode image = api.get("/v1/images/whole").expect(200).body();
    assertEquals(
        api.get("/v1/images/base").body().path("sha256").asText(), image.path("sha256").asText());
    api.delete("/v1/images/whole").expect(204);
  }

  @Test
  void aSparseFileMayBeLargerThanWhatIsFree() throws Exception {
    String path = "/v1/images/sparse/content";
    put(path, new byte[1024], "bytes 0-1023/" + (1L << 50)).expect(204);
    put(path, new byte[1024], "bytes 1024-2047/" + (1L << 50)).expect(204);
    Files.delete(directory.resolve("the data/uploads/default+sparse.part"));
  }

  @Test
  void anImageComesOutAsItWentIn() throws Exception {
    var request = api.request("/v1/images/base/content?format=raw").build();
    var answer = api.client().send(request, java.net.http.HttpResponse.BodyHandlers.ofByteArray());
    assertEquals(200, answer.statusCode());
    assertEquals(
        "application/octet-stream", answer.headers().firstValue("Content-Type").orElse(""));
    assertEquals(-1, Arrays.mismatch(Files.readAllBytes(file), answer.body()));
    var qcow2 =
        api.client()
            .send(
                api.request("/v1/images/base/content").build(),
                java.net.http.HttpResponse.BodyHandlers.ofByteArray());
    assertEquals("QFI", new String(qcow2.body(), 0, 3, java.nio.charset.StandardCharsets.US_ASCII));
    assertEquals(qcow2.body().length, qcow2.headers().firstValueAsLong("Content-Length").orElse(0));
    api.get("/v1/images/base/content?format=vmdk").expectProblem(400, "PARAMETER_INVALID");
  }

  @Test
  void eventsAndOperationsCanBeFollowed() throws Exception {
    api.post("/v1/nodes", "{'name':'seen','nics':[{'mac':'52:54:00:00:06:01'}]}").expect(201);
    long before = api.get("/v1/events?limit=1").body().path("items").path(0).path("id").asLong();
    var following =
        api.client()
            .send(
                api.request(
                        "/v1/events",
                        "Accept",
                        "text/event-stream",
                        "Last-Event-ID",
                        Long.toString(before))
                    .build(),
                java.net.http.HttpResponse.BodyHandlers.ofLines());
    Reply provision = api.post("/v1/nodes/seen/provision", "{'image':'base'}").expect(202);
    awaitNode("seen", "waiting");
    api.succeeded(api.post("/v1/nodes/seen/release", "{'deleteDisk':true}"));
    try (var lines = following.body()) {
      List<String> first =
          lines.takeWhile(line -> !line.contains("node-release")).limit(200).toList();
      assertTrue(first.stream().anyMatch(line -> line.startsWith("id: ")), first::toString);
      assertTrue(first.stream().anyMatch(line -> line.startsWith("data: {")), first::toString);
    }
    var operation =
        api.client()
            .send(
                api.request(provision.header("Location"), "Accept", "text/event-stream").build(),
                java.net.http.HttpResponse.BodyHandlers.ofString());
    assertTrue(operation.body().contains("event: operation\ndata: {"), operation::body);
    assertTrue(operation.body().contains("\"state\":\"aborted\""), operation::body);
    api.delete("/v1/nodes/seen").expect(204);
  }

  /** Work that may be over within the call or not. */
  private void settle(Reply reply, String... headers) throws Exception {
    String state = reply.status() == 202 ? "running" : "succeeded";
    assertTrue(reply.status() < 300, () -> reply.body().toString());
    while (!List.of("succeeded", "failed", "aborted").contains(state)) {
      Reply now = api.get(reply.header("Location") + "?wait=30", headers).expect(200);
      state = now.body().path("state").asText();
    }
    assertEquals("succeeded", state);
  }

  private Reply put(String path, byte[] body, @org.jspecify.annotations.Nullable String range)
      throws Exception {
    var request =
        api.request(path)
            .header("Content-Type", "application/octet-stream")
            .PUT(BodyPublishers.ofByteArray(body));
    return api.send(
        range == null ? request.build() : request.header("Content-Range", range).build());
  }

  /** The node, once its operation is in that state. */
  private JsonNode awaitNode(String name, String state) throws Exception {
    JsonNode node = api.get("/v1/nodes/" + name).expect(200).body();
    String operation = "/v1/operations/" + node.path("operation").asText();
    while (!api.get(operation + "?wait=1")
        .expect(200)
        .body()
        .path("state")
        .asText()
        .equals(state)) {
      node = api.get("/v1/nodes/" + name).expect(200).body();
    }
    return node;
  }

  private String bootScript(String mac) throws Exception {
    var request =
        java.net.http.HttpRequest.newBuilder(
                java.net.URI.create(
                    "http://"
                        + server.addresses().bootHttp()
                        + "/boot/"
                        + mac.replace(':', '-')
                        + ".ipxe"))
            .build();
    return api.client().send(request, java.net.http.HttpResponse.BodyHandlers.ofString()).body();
  }

  private static String password(String script) {
    return script.lines().filter(l -> l.startsWith("set password ")).findFirst().orElse("");
  }
}
