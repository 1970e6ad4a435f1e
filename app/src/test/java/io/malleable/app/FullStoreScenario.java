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
import java.util.List;
import java.util.Map;

/**
 * What {@link FullStoreTest} runs in a mount namespace; throws when something is not as it should.
 */
final class FullStoreScenario {
  private static final long MIB = 1L << 20;

  private final TestApi api;
  private final Path data;
  private final String url;

  private FullStoreScenario(TestApi api, Path data, String url) {
    this.api = api;
    this.data = data;
    this.url = url;
  }

  public static void main(String[] arguments) throws Exception {
    Path place = Files.createDirectories(Path.of(arguments[0], "small"));
    Programs.run(List.of("mount", "-t", "tmpfs", "-o", "size=128m", "tmpfs", place.toString()));
    Path data = place.resolve("data");
    Path file = TestServer.image(Path.of(arguments[0], "base.raw"), 1);
    try (TestServer server = TestServer.start(data, Map.of(Setting.STORE_RESERVE, "32M"))) {
      TestApi api = server.api();
      api.succeeded(
          api.post(
              "/v1/images", "{'name':'base','format':'raw','source':{'path':'" + file + "'}}"));
      api.post("/v1/disks", "{'name':'d','image':'base','sizeBytes':" + 512 * MIB + "}")
          .expect(201);
      JsonNode iscsi = api.post("/v1/disks/d/expose", "").expect(200).body().path("iscsi");
      String account = iscsi.path("username").asText() + "%" + iscsi.path("password").asText();
      String url = iscsi.path("url").asText().replace("iscsi://", "iscsi://" + account + "@");
      new FullStoreScenario(api, data, url).run(file);
      assertEquals(List.of(), server.inconsistencies());
    }
    System.exit(0);
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
    var stream =
        api.client()
            .send(
                api.request("/v1/events", "Accept", "text/event-stream", "Last-Event-ID", "0")
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
