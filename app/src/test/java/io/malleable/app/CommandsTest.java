package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/** The commands that a user types, against a whole server. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
final class CommandsTest {
  private Path directory;
  private final List<HttpServer> webServers = new ArrayList<>();
  private TestServer server;

  @BeforeAll
  void start(@TempDir Path temporary) throws Exception {
    directory = temporary;
    server = TestServer.start(directory.resolve("data"));
    succeed(
        "image import base "
            + TestServer.image(directory.resolve("base.raw"), 4)
            + " --format raw");
  }

  @AfterAll
  void stop() {
    webServers.forEach(web -> web.stop(0));
    server.close();
  }

  private Outcome run(String words) {
    return Outcome.of(server.environment(), Map.of(), words.split(" ", -1));
  }

  private String succeed(String words) {
    Outcome outcome = run(words);
    assertEquals(0, outcome.status(), () -> "m2 " + words + ": " + outcome.err());
    assertEquals("", outcome.err());
    return outcome.out();
  }

  private JsonNode json(String words) throws IOException {
    return new JsonMapper().readTree(succeed(words + " -o json"));
  }

  private String fail(String words) {
    Outcome outcome = run(words);
    assertEquals(1, outcome.status(), () -> "m2 " + words + ": " + outcome.out());
    assertEquals("", outcome.out());
    return outcome.err();
  }

  @Test
  void anImageIsImportedUploadedRenamedSharedAndDeleted() throws Exception {
    Path file = TestServer.image(directory.resolve("other.raw"), 2);
    succeed("image import other " + file + " --format raw");
    JsonNode uploaded = json("image import uploaded " + file + " --format raw --upload --public");
    assertEquals(json("image show other").path("sha256"), uploaded.path("sha256"));
    assertTrue(uploaded.path("public").asBoolean());
    succeed("image rename uploaded sent");
    succeed("image unshare sent --public");
    assertEquals("sent", json("image show sent").path("name").asText());
    succeed("image delete sent");
    assertTrue(fail("image show sent").contains("NOT_FOUND"));
    assertTrue(fail("image import other " + file + " --format raw").contains("NAME_TAKEN"));
  }

  @Test
  void anImageFileIsComparedWithItsChecksumOnEveryWayIn() throws Exception {
    Path file = TestServer.image(directory.resolve("sum.raw"), 2);
    String sum =
        HexFormat.of()
            .formatHex(MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(file)));
    String wrong = "0".repeat(64);
    String url = serve(file);
    String format = " --format raw --sha256 ";
    for (String way : List.of(file.toString(), file + " --upload", url)) {
      String refused = fail("image import checked " + way + format + wrong);
      assertTrue(refused.contains("CHECKSUM_WRONG") && refused.contains(sum), refused);
      assertTrue(fail("image show checked").contains("NOT_FOUND"));
      assertEquals(sum, json("image import checked " + way + format + sum).path("sha256").asText());
      succeed("image delete checked");
    }
    assertTrue(fail("image import checked " + file + format + "abc").contains("64 lower-case"));
    assertTrue(
        fail("image import checked " + url + "-none").contains("the answer was the status 404"));
  }

  @Test
  void whatIsWrongWithADownloadedFileIsSaidOfItsUrl() throws Exception {
    Path base = TestServer.image(directory.resolve("back.raw"), 1);
    Path overlay = directory.resolve("overlay.qcow2");
    Programs.run(
        List.of(
            "qemu-img",
            "create",
            "-q",
            "-f",
            "qcow2",
            "-F",
            "raw",
            "-b",
            base.toString(),
            overlay.toString()));
    for (String way : List.of(overlay.toString(), overlay + " --upload", serve(overlay))) {
      String refused = fail("image import overlay " + way);
      assertTrue(refused.contains("only the difference to a backing file"), refused);
      assertTrue(refused.contains("flatten it first with: qemu-img convert"), refused);
      assertTrue(!refused.contains("/data/"), refused);
    }
  }

  @Test
  void aRawExportIsAsSparseAsTheImage() throws Exception {
    Path file = directory.resolve("sparse.raw");
    try (var channel =
        FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      channel.write(ByteBuffer.wrap(new byte[] {1}), (64 << 20) - 1);
    }
    JsonNode image = json("image import sparse " + file + " --format raw --upload");
    assertTrue(image.path("allocatedBytes").asLong() < 1 << 20, image::toString);
    Path out = directory.resolve("out.raw");
    succeed("image export sparse " + out + " --format raw");
    assertEquals(-1, Files.mismatch(file, out));
    String du = Programs.run(List.of("du", "--block-size=1", out.toString()));
    assertTrue(Long.parseLong(du.split("\\s", 2)[0]) < 1 << 20, du);
    assertTrue(fail("image export sparse " + out).contains("exists already"));
  }

  @Test
  void anExportShowsHowFarItIs() {
    Outcome outcome =
        Outcome.interactively(
            server.environment(),
            "image",
            "export",
            "base",
            directory.resolve("shown.raw").toString(),
            "--format",
            "raw");
    assertEquals(0, outcome.status(), outcome::err);
    assertTrue(outcome.err().contains("export base [") && outcome.err().contains(" of 4 MiB"));
  }

  /** The URL of a file on a server of its own, which ends with the tests. */
  private String serve(Path file) throws IOException {
    HttpServer web =
        HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    web.createContext(
        "/image",
        exchange -> {
          boolean found = exchange.getRequestURI().getPath().equals("/image");
          byte[] body = found ? Files.readAllBytes(file) : new byte[0];
          exchange.sendResponseHeaders(found ? 200 : 404, found ? body.length : -1);
          exchange.getResponseBody().write(body);
          exchange.close();
        });
    web.start();
    webServers.add(web);
    return "http://127.0.0.1:" + web.getAddress().getPort() + "/image";
  }

  @Test
  void anImageGoesBetweenProjects() throws Exception {
    succeed(
        "image import gold "
            + TestServer.image(directory.resolve("gold.raw"), 2)
            + " --format raw");
    succeed("project create lab");
    assertEquals("image gold is shared with lab\n", succeed("image share gold --with lab"));
    assertTrue(succeed("image list").contains("1 project"));
    assertTrue(succeed("image list --project lab").contains("default/gold"));
    assertTrue(succeed("image show gold").contains("shared with lab"));
    assertTrue(!succeed("image show gold --project lab").contains("gold.raw"), "the owner's path");
    succeed("disk create theirs --image default/gold --project lab");
    succeed("image unshare gold --with lab");
    assertTrue(fail("image show default/gold --project lab").contains("NOT_FOUND"));
    assertTrue(fail("disk create more --image gold --project lab").contains("NOT_FOUND"));
    succeed("disk expose theirs --project lab");
    succeed("disk withdraw theirs --project lab");
    assertTrue(fail("image delete gold --cascade").contains("1 disk(s) of the project 'lab'"));
    succeed("disk delete theirs --purge --project lab");
    JsonNode copy = json("image copy gold --to lab --name silver --full");
    assertEquals("lab", copy.path("project").asText());
    assertEquals(json("image show gold").path("sha256"), copy.path("sha256"));
    assertTrue(
        succeed("image copy gold --to lab").contains("copied to lab/gold, which depends on it"));
    assertTrue(fail("image delete gold").contains("1 image(s) of the project 'lab'"));
    succeed("image delete gold --project lab");
    assertEquals("image gold is now lab/gold\n", succeed("image move gold --to lab"));
    assertTrue(fail("image show gold").contains("NOT_FOUND"));
    succeed("disk create d --image gold --project lab");
    succeed("snapshot create s --disk d --project lab");
    succeed("snapshot promote s --image next --project lab");
    assertTrue(
        succeed("image show next --project lab").contains("snapshot s < image gold"), "lineage");
    assertEquals("image gold is deleted\n", succeed("image delete gold --cascade --project lab"));
    assertEquals("[]", json("disk list --project lab").toString());
    succeed("image delete silver --project lab");
    succeed("project delete lab");
  }

  @Test
  void aDiskThatANodeRunsFromKeepsAWholeFamilyFromDeletion() throws Exception {
    succeed(
        "image import family "
            + TestServer.image(directory.resolve("family.raw"), 2)
            + " --format raw");
    succeed("disk create idle --image family");
    succeed("node add runner --mac 52:54:00:aa:00:09");
    provision("--image family");
    String refused = fail("image delete family --cascade");
    assertTrue(refused.contains("'runner' to the node 'runner'"), refused);
    assertTrue(refused.contains("m2 node release runner"), refused);
    assertEquals("ready", json("disk show idle").path("state").asText());
    assertTrue(fail("image delete family").contains("disk 'idle', disk 'runner'"));
    assertTrue(
        succeed("node release runner")
            .contains("to undo it: m2 node provision runner --disk runner"));
    // An accidental release is taken back by provisioning with the disk that it kept.
    assertEquals("ready", json("disk show runner").path("state").asText());
    provision("--disk runner");
    assertEquals("runner", json("node show runner").path("disk").asText());
    succeed("node release runner --delete-disk");
    succeed("disk undelete runner --name again");
    provision("--disk again");
    succeed("node release runner");
    succeed("image delete family --cascade");
    assertTrue(!succeed("disk list").contains("again"));
    succeed("node delete runner");
  }

  /** Provisions the runner, a machine that never comes. */
  private void provision(String drive) throws Exception {
    String operation = json("node provision runner " + drive + " --no-wait").path("id").asText();
    while (!json("operation show " + operation).path("state").asText().equals("waiting")) {
      Thread.onSpinWait();
    }
  }

  @Test
  void aDiskLivesItsWholeLife() throws Exception {
    assertTrue(succeed("disk create d1 --image base --size 8M").contains("8 MiB from base"));
    JsonNode exposed = json("disk expose d1").path("iscsi");
    assertTrue(exposed.path("url").asText().startsWith("iscsi://127.0.0.1:"));
    assertTrue(exposed.path("password").asText().length() >= 12);
    assertTrue(succeed("disk show d1").contains(exposed.path("url").asText()));
    assertTrue(fail("disk delete d1").contains("d1"), "a disk that is exposed is not deleted");
    succeed("disk withdraw d1");
    succeed("snapshot create s1 --disk d1");
    assertTrue(succeed("snapshot list").contains("s1"));
    assertTrue(succeed("snapshot list --disk d1").contains("s1"));
    succeed("snapshot show s1");
    succeed("disk rollback d1 --snapshot s1");
    succeed("disk resize d1 16M");
    assertEquals(16 << 20, json("disk show d1").path("sizeBytes").asInt());
    succeed("snapshot promote s1 --image base-2");
    succeed("disk create d2 --snapshot s1");
    succeed("disk flatten d2");
    succeed("disk delete d2");
    String trash = succeed("disk list --deleted");
    assertTrue(
        trash
            .lines()
            .anyMatch(line -> line.matches("d2 +trashed .* ago\\) .* \\(in 6d\\)  [0-9a-f-]{36}")),
        trash);
    succeed("disk undelete d2");
    assertTrue(succeed("disk list").contains("d2"));
    assertTrue(fail("image delete base").contains("IMAGE_HAS_CLONES"));
  }

  @Test
  void aNodeWithoutPowerDriverWaitsAndItsOperationCanBeAborted() throws Exception {
    succeed("node add n1 --mac 52:54:00:aa:00:01 --firmware uefi");
    assertTrue(fail("node add n2 --mac 52:54:00:AA:00:01").contains("52:54:00"));
    String operation = json("node provision n1 --image base --no-wait").path("id").asText();
    assertTrue(succeed("operation list").contains(operation));
    assertTrue(succeed("operation show " + operation).contains("node-provision"));
    String explained = succeed("node explain n1");
    assertTrue(explained.length() > 20, explained);
    assertTrue(fail("node delete n1").contains("n1"));
    succeed("operation abort " + operation);
    assertTrue(run("operation wait " + operation + " --timeout 60").err().contains("aborted"));
    assertTrue(succeed("node list").contains("52:54:00:aa:00:01"));
    assertEquals("n1", json("node show n1").path("name").asText());
  }

  @Test
  void theServerIsSeenAtOneGlance() throws Exception {
    String status = succeed("status");
    for (String line :
        List.of(
            "server      " + server.addresses().apiUrl() + ", version \\S+, up \\d+s.*",
            "boot        http://127\\.0\\.0\\.1:\\d+, iSCSI 127\\.0\\.0\\.1:\\d+",
            "data        " + directory.resolve("data"),
            "space       \\[[#.]{20}\\] \\S+ [KMGT]iB of \\S+ [KMGT]iB free",
            "volumes     \\S+ [KMG]iB allocated, \\S+ ([KMG]i)?B of it shared; disks may grow to \\S+ ([KMG]i)?B",
            "holds       \\d+ images?, \\d+ disks?, \\d+ snapshots?, \\d+ nodes? in \\d+ projects?",
            "busy        \\d+ operations?, \\d+ sessions?")) {
      assertTrue(status.lines().anyMatch(shown -> shown.matches(line)), line + "\n" + status);
    }
    assertTrue(json("status").path("system").has("capacity"));
    assertTrue(json("event list").isArray());
    assertTrue(succeed("event list --limit 5").contains("image"));
    assertTrue(succeed("project list").contains("default"));
  }
}
