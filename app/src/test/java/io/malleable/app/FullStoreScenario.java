package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * What {@link FullStoreTest} runs in a mount namespace; throws when something is not as it should.
 */
final class FullStoreScenario {
  private static final long MIB = 1L << 20;

  private static final Duration LIMIT = Duration.ofMinutes(2);
  private static final int DATA_PROTECT = 0x7;
  private static final int SPACE_ALLOCATION_FAILED = 0x2707;

  private final TestServer server;
  private final TestApi api;
  private final Path data;
  private final String url;

  private FullStoreScenario(TestServer server, Path data, String url) {
    this.server = server;
    this.api = server.api();
    this.data = data;
    this.url = url;
  }

  public static void main(String[] arguments) throws Exception {
    Path place = Files.createDirectories(Path.of(arguments[0], "small"));
    Programs.run(List.of("mount", "-t", "tmpfs", "-o", "size=128m", "tmpfs", place.toString()));
    Path data = place.resolve("data");
    Path file = TestServer.image(Path.of(arguments[0], "base.raw"), 1);
    try (TestServer server = start(data, "0")) {
      TestApi api = server.api();
      api.succeeded(
          api.post(
              "/v1/images", "{'name':'base','format':'raw','source':{'path':'" + file + "'}}"));
      new FullStoreScenario(server, data, url(exposed(api))).run(file);
      assertEquals(List.of(), server.inconsistencies());
    }
    try (TestServer server = start(data, "150")) {
      new FullStoreScenario(server, data, url(exposed(server.api()))).holdsWritesUntilThereIsRoom();
      assertEquals(List.of(), server.inconsistencies());
    }
    try (TestServer server = start(data, "2")) {
      JsonNode iscsi = server.api().get("/v1/disks/d").expect(200).body().path("iscsi");
      new FullStoreScenario(server, data, url(iscsi)).refusesWritesWhenThereIsNoRoomInTime(iscsi);
    }
    System.exit(0);
  }

  private static TestServer start(Path data, String busySeconds) throws Exception {
    return TestServer.start(
        data, Map.of(Setting.STORE_RESERVE, "32M", Setting.STORE_FULL_BUSY, busySeconds));
  }

  private static JsonNode exposed(TestApi api) throws Exception {
    api.post("/v1/disks", "{'name':'d','image':'base','sizeBytes':" + 512 * MIB + "}").expect(201);
    return api.post("/v1/disks/d/expose", "").expect(200).body().path("iscsi");
  }

  private static String url(JsonNode iscsi) {
    String account = iscsi.path("username").asText() + "%" + iscsi.path("password").asText();
    return iscsi.path("url").asText().replace("iscsi://", "iscsi://" + account + "@");
  }

  /** The initiator waits, and then goes on as if nothing had been. */
  private void holdsWritesUntilThereIsRoom() throws Exception {
    long before = latestEvent();
    write("write -P 1 0 72M");
    try (ExecutorService machine = Executors.newSingleThreadExecutor()) {
      Future<String> said = machine.submit(() -> qemuIo("write -P 2 128M 48M"));
      Patience.await(
          System.out, LIMIT, "the write is held", () -> storeFull().path("held").asLong() == 1);
      assertEquals(0, storeFull().path("refused").asLong());
      String status = server.m2("status");
      assertTrue(status.contains("held for 1 disk, refused for 0 disks"), status);
      assertFalse(said.isDone(), "it waits");
      write("discard 0 64M");
      assertFalse(said.get().contains("failed"), said.get());
    }
    write("read -P 2 128M 48M");
    awaitEvent("store.full", before);
    awaitEvent("store.writable", before);
    assertTrue(storeFull().isMissingNode(), "nobody waits any more");
    assertFalse(server.m2("status").contains("held for"));
  }

  private void refusesWritesWhenThereIsNoRoomInTime(JsonNode iscsi) throws Exception {
    try (Initiator machine = Initiator.login(iscsi, "iqn.2026-11.test:machine")) {
      byte[] data = new byte[Initiator.MAX_DATA_BYTES];
      data[0] = 1;
      int blocks = data.length / 512;
      int lba = (int) (256 * MIB / 512);
      Initiator.Answer answer = machine.execute(Cdb.write(lba, blocks), data, 0);
      while (answer.status() == Initiator.GOOD) {
        lba += blocks;
        answer = machine.execute(Cdb.write(lba, blocks), data, 0);
      }
      assertEquals(Initiator.BUSY, answer.status(), answer::toString);
      Patience patience = new Patience(LIMIT);
      while (answer.status() == Initiator.BUSY && patience.waitOn()) {
        answer = machine.execute(Cdb.write(lba, blocks), data, 0);
      }
      assertEquals(DATA_PROTECT, answer.senseKey(), answer::toString);
      assertEquals(SPACE_ALLOCATION_FAILED, answer.code(), answer::toString);
      assertEquals(1, storeFull().path("refused").asLong(), storeFull()::toString);
      String status = server.m2("status");
      assertTrue(status.contains("held for 0 disks, refused for 1 disk"), status);
    }
  }

  private JsonNode storeFull() throws Exception {
    return api.get("/v1/system").expect(200).body().path("storeFull");
  }

  private long latestEvent() throws Exception {
    return api.get("/v1/events?limit=1")
        .expect(200)
        .body()
        .path("items")
        .path(0)
        .path("id")
        .asLong();
  }

  private void run(Path file) throws Exception {
    assertFalse(events().contains("store."), "there is enough space yet");
    write("write -P 1 0 72M");
    awaitEvent("store.filling");
    assertFalse(events().contains("store.full"), "the warning comes before the refusal");
    // More than is left: some of it goes through, then the initiator hears that there is no space.
    String refused = qemuIo("write -P 2 128M 48M");
    assertTrue(refused.contains("No space left on device"), refused);
    awaitEvent("store.full");
    long left = Files.getFileStore(data).getUsableSpace();
    assertTrue(left >= 28 * MIB, "the reserve is left to the database: " + left);
    write("write -P 3 0 8M");
    write("read -P 3 0 8M");
    write("read -P 1 8M 64M");
    assertEquals("OUT_OF_SPACE", importFails(file));
    freeByUnmap();
    awaitEvent("store.recovered");
    write("write -P 4 256M 16M");
    freeByDeletion();
  }

  /** A new image needs space as well; that of a file is refused on the way. */
  private String importFails(Path file) throws Exception {
    TestApi.Reply reply =
        api.post("/v1/images", "{'name':'more','format':'raw','source':{'path':'" + file + "'}}");
    return reply.status() == 202
        ? api.finished(reply).path("error").path("code").asText()
        : reply.code();
  }

  private void freeByUnmap() throws Exception {
    long before = Files.getFileStore(data).getUsableSpace();
    long ownBefore = own();
    write("discard 0 64M");
    write("discard 128M 48M");
    long after = Files.getFileStore(data).getUsableSpace();
    assertTrue(after - before >= 60 * MIB, "freed on the file system: " + (after - before));
    assertTrue(ownBefore - own() >= 60 * MIB, "and taken from the disk: " + (ownBefore - own()));
    write("read -P 0 0 64M");
  }

  private void freeByDeletion() throws Exception {
    long before = Files.getFileStore(data).getUsableSpace();
    api.post("/v1/disks/d/withdraw", "").expect(200);
    long disk = own();
    api.delete("/v1/disks/d").expect(204);
    assertTrue(Files.getFileStore(data).getUsableSpace() - before < 8 * MIB, "trash keeps it");
    api.delete("/v1/disks/d?purge=true").expect(204);
    long freed = Files.getFileStore(data).getUsableSpace() - before;
    assertTrue(freed >= disk - 2 * MIB, freed + " of " + disk + " are free again");
  }

  private long own() throws Exception {
    return api.get("/v1/disks/d").expect(200).body().path("allocatedBytes").asLong();
  }

  private String events() throws Exception {
    return api.get("/v1/events?limit=1000").expect(200).body().toString();
  }

  /** Reads the stream of events from its beginning until there is one of that kind. */
  private void awaitEvent(String kind) throws Exception {
    awaitEvent(kind, 0);
  }

  private void awaitEvent(String kind, long after) throws Exception {
    var stream =
        api.client()
            .send(
                api.request(
                        "/v1/events",
                        "Accept",
                        "text/event-stream",
                        "Last-Event-ID",
                        Long.toString(after))
                    .build(),
                BodyHandlers.ofLines());
    try (var lines = stream.body()) {
      assertTrue(lines.anyMatch(line -> line.contains("\"" + kind + "\"")), kind);
    }
  }

  private void write(String command) throws IOException, InterruptedException {
    String said = qemuIo(command);
    assertFalse(said.contains("failed") || said.contains("differ"), said);
  }

  private String qemuIo(String command) throws IOException, InterruptedException {
    Process process =
        new ProcessBuilder("qemu-io", "-f", "raw", "-d", "unmap", "-t", "none", "-c", command, url)
            .redirectErrorStream(true)
            .start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertTrue(process.waitFor() >= 0);
    return said;
  }
}
