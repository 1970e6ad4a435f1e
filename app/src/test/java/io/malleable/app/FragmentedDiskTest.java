package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.malleable.volume.local.LocalVolumeStore;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A disk whose map has as many pieces as it may have: waiting for room would not help. */
final class FragmentedDiskTest {
  private static final Duration LIMIT = Duration.ofMinutes(1);
  private static final long SIZE_BYTES = 64L << 30;
  private static final int BLOCK_SECTORS = 8;
  private static final long MAP_MEMORY_BYTES = 48 << 10;
  private static final int DATA_PROTECT = 0x7;
  private static final int SPACE_ALLOCATION_FAILED = 0x2707;

  @TempDir private Path directory;

  @Test
  void itsWritesAreRefusedAtOnceAndItSaysWhatToDo() throws Exception {
    LocalVolumeStore.Settings settings =
        new LocalVolumeStore.Settings(0, 8, 1 << 10, MAP_MEMORY_BYTES);
    try (LocalVolumeStore store = LocalVolumeStore.open(directory.resolve("volumes"), settings);
        TestServer server = TestServer.start(directory.resolve("data"), Map.of(), _ -> store)) {
      TestApi api = server.api();
      Path file = TestServer.image(directory.resolve("base.raw"), 1);
      api.succeeded(
          api.post(
              "/v1/images", "{'name':'base','format':'raw','source':{'path':'" + file + "'}}"));
      JsonNode iscsi = exposed(api, "d");
      try (Initiator machine = Initiator.login(iscsi, "iqn.2026-11.test:machine")) {
        Initiator.Answer answer = discardEverySecondBlock(machine);
        assertEquals(Initiator.CHECK_CONDITION, answer.status(), answer::toString);
        assertEquals(DATA_PROTECT, answer.senseKey(), answer::toString);
        assertEquals(SPACE_ALLOCATION_FAILED, answer.code(), answer::toString);
      }
      JsonNode refused = api.get("/v1/disks/d").expect(200).body().path("writesRefused");
      assertTrue(refused.path("reason").asText().contains("small pieces"), refused::toString);
      assertTrue(server.m2("disk show d").contains("writes refused"));
      assertFalse(api.get("/v1/system").body().has("storeFull"), "the store has room");
      Patience.await(
          System.out,
          LIMIT,
          "its project is told",
          () -> server.m2("event list").contains("disk.fragmented"));
      assertFalse(server.m2("event list").contains("store.full"));
    }
  }

  private static JsonNode exposed(TestApi api, String name) throws Exception {
    api.post("/v1/disks", "{'name':'" + name + "','image':'base','sizeBytes':" + SIZE_BYTES + "}")
        .expect(201);
    return api.post("/v1/disks/" + name + "/expose", "{'writeCache':true}")
        .expect(200)
        .body()
        .path("iscsi");
  }

  /** Until that is refused; the last answer. */
  private static Initiator.Answer discardEverySecondBlock(Initiator machine) throws Exception {
    Initiator.Answer answer = null;
    int lba = 0;
    int last = (int) (SIZE_BYTES / 512 - BLOCK_SECTORS);
    do {
      answer = machine.execute(Cdb.unmap(), Cdb.unmapList(lba, BLOCK_SECTORS), 0);
      lba += 2 * BLOCK_SECTORS;
    } while (answer.status() == Initiator.GOOD && lba < last);
    return answer;
  }
}
