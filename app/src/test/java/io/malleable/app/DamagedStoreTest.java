package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A whole server on a store in which something cannot be read. */
final class DamagedStoreTest {
  @TempDir Path directory;

  private Path data() {
    return directory.resolve("data");
  }

  private String make(String... disks) throws Exception {
    try (TestServer server = TestServer.start(data())) {
      Path file = TestServer.image(directory.resolve("base.raw"), 8);
      TestApi api = server.api();
      api.succeeded(
          api.post(
              "/v1/images", "{'name':'base','format':'raw','source':{'path':'" + file + "'}}"));
      for (String disk : disks) {
        api.post("/v1/disks", "{'name':'" + disk + "','image':'base'}").expect(201);
      }
      return api.get("/v1/images/base").body().path("id").asText();
    }
  }

  @Test
  void oneDamagedDiskIsShownAsSuchAndAllElseGoesOn() throws Exception {
    make("bad", "good");
    String id;
    try (TestServer server = TestServer.start(data())) {
      id = server.api().get("/v1/disks/bad").body().path("id").asText();
    }
    Files.write(data().resolve("volumes/volumes/" + id), new byte[64]);
    try (TestServer server = TestServer.start(data())) {
      assertEquals(List.of("bad", "good"), server.api().names("/v1/disks", 10));
      JsonNode bad = server.api().get("/v1/disks/bad").expect(200).body();
      assertEquals("damaged", bad.path("state").asText());
      assertFalse(bad.has("allocatedBytes"));
      assertFalse(bad.path("damage").asText().isEmpty());
      assertEquals("ready", server.api().get("/v1/disks/good").body().path("state").asText());
      assertTrue(server.api().get("/v1/system").expect(200).body().has("capacity"));
      assertTrue(server.m2("disk list").lines().anyMatch(l -> l.matches("bad +damaged .*")));
      assertTrue(server.m2("disk show bad").contains("damage "));
      String status = server.m2("status");
      assertTrue(status.contains(" free\n"), status);
      assertTrue(status.lines().anyMatch(l -> l.matches("damaged +1 disk .*--verify")), status);
      JsonNode counted = new JsonMapper().readTree(server.m2("status -o json"));
      assertEquals(1, counted.at("/system/damaged/disks").asInt(), counted::toString);
      String doctor = server.m2("doctor");
      assertTrue(doctor.contains("space"), doctor);
      assertTrue(doctor.lines().anyMatch(l -> l.matches("warning volumes +1 disk .*")), doctor);
      server.m2("disk delete bad");
      server.m2("disk delete good");
      String trash = server.m2("disk list --deleted");
      String times = " \\([0-9]+[sm] ago\\) +[0-9-]{10} [0-9:]{5}Z \\(in 6d\\) .*";
      assertTrue(trash.lines().anyMatch(l -> l.matches("bad +trashed, damaged .*" + times)), trash);
      assertTrue(trash.lines().anyMatch(l -> l.matches("good +trashed  .*" + times)), trash);
      server.m2("disk delete bad --purge");
      assertFalse(server.api().get("/v1/system").expect(200).body().has("damaged"));
      assertFalse(server.m2("status").contains("damaged"));
    }
  }

  @Test
  void anExportOfWhatCannotBeReadDoesNotPassForAFile() throws Exception {
    make();
    // Behind the first megabytes, so that the answer has begun.
    overwrite(6 << 20);
    try (TestServer server = TestServer.start(data())) {
      TestApi api = server.api();
      var request = api.request("/v1/images/base/content?format=raw").build();
      assertThrows(IOException.class, () -> api.client().send(request, BodyHandlers.ofByteArray()));
      // Nothing keeps the image.
      api.delete("/v1/images/base").expect(204);
    }
  }

  private void overwrite(long position) throws IOException {
    try (var layers = Files.list(data().resolve("volumes/layers"))) {
      for (Path file : layers.filter(f -> f.toString().endsWith(".data")).toList()) {
        try (RandomAccessFile access = new RandomAccessFile(file.toFile(), "rw")) {
          if (access.length() > position) {
            access.seek(position);
            access.write(new byte[] {1, 2, 3, 4, 5});
          }
        }
      }
    }
  }

  @Test
  void whatAKilledServerLeftOfUploadsIsRemovedAndWhatCanGoOnStays() throws Exception {
    make();
    Path uploads = Files.createDirectories(data().resolve("uploads"));
    Path left =
        Files.write(uploads.resolve("3c4f9d1e-0000-4000-8000-000000000000.image"), new byte[9]);
    Path part = Files.write(uploads.resolve("default+next.part"), new byte[9]);
    try (TestServer server = TestServer.start(data())) {
      assertTrue(Files.notExists(left));
      assertTrue(Files.exists(part));
      server.api().get("/v1/images/base").expect(200);
    }
  }
}
