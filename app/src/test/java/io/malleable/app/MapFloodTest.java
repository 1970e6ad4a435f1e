package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.malleable.app.Initiator.Answer;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * One tenant discards a large disk in the pattern that makes its map largest. That ends neither the
 * server, nor its next start, nor anybody else's disk.
 */
final class MapFloodTest {
  private static final int SECTOR_BYTES = 512;

  /** Of a block of the map, in sectors; every second is discarded. */
  private static final int BLOCK = 8;

  private static final int STRIDE = 2 * BLOCK;

  /** Of a page of the map: 4,096 blocks. */
  private static final int PAGE = 4096 * BLOCK;

  private static final int DEPTH = 16;

  /** So many commands of the flood for one of its neighbour. */
  private static final int NEIGHBOURS_TURN = 64;

  private static final int IMAGE_MIB = 1;
  private static final int DATA_PROTECT = 0x7;

  /** SPACE ALLOCATION FAILED WRITE PROTECT (SBC-3 4.7.3.6). */
  private static final int SPACE_ALLOCATION_FAILED = 0x2707;

  private static final String NAME = "iqn.2026-11.io.malleable:tenant";

  /** What of the process is not heap, in MiB, each with the flag that bounds it. */
  private static final int METASPACE = 64;

  private static final int CODE = 32;
  private static final int DIRECT = 32;

  /** The JVM and libraries with their tables, the class archive, native buffers of sockets. */
  private static final int NATIVE = 96;

  /**
   * What is discarded, in commands that each begin where the one before ended.
   *
   * @param strideSectors from one discarded block to the next of a command
   * @param descriptors of a command
   * @param pages of a command
   */
  private record Pattern(int strideSectors, int descriptors, int pages) {
    /** Every second block, until the page has the form that holds any pattern. */
    static final Pattern DENSE = new Pattern(STRIDE, 200, 1);

    /** One block of a page, which costs the most memory for a discard. */
    static final Pattern SPARSE = new Pattern(PAGE, 256, 256);
  }

  private enum End {
    REFUSED,
    ALL_DONE
  }

  @TempDir private Path directory;
  private int heapMib;

  private ServeProcess start() throws IOException, InterruptedException {
    String options =
        "-Xmx%dm -XX:MaxMetaspaceSize=%dm -XX:ReservedCodeCacheSize=%dm -XX:MaxDirectMemorySize=%dm"
            .formatted(heapMib, METASPACE, CODE, DIRECT);
    return ServeProcess.start(directory.resolve("data"), Map.of("_JAVA_OPTIONS", options));
  }

  /** The highest that it ever had resident is what its flags allow, and a stack for each thread. */
  private void assertBounded(ServeProcess server) throws IOException {
    long most = heapMib + METASPACE + CODE + DIRECT + NATIVE + server.status("Threads");
    long peak = server.status("VmHWM") >> 10;
    System.out.printf("%d MiB resident at most, of %d that are allowed%n", peak, most);
    assertTrue(peak <= most, peak + " MiB were resident, " + most + " are allowed");
    assertFalse(server.log().contains("OutOfMemoryError"), server::log);
  }

  private static JsonNode expose(TestApi api, String disk, String size) throws Exception {
    api.post("/v1/disks", "{'name':'" + disk + "','image':'base'" + size + "}").expect(201);
    return api.post("/v1/disks/" + disk + "/expose", "{'writeCache':true}")
        .expect(200)
        .body()
        .path("iscsi");
  }

  private static JsonNode iscsi(TestApi api, String disk) throws Exception {
    return api.get("/v1/disks/" + disk).expect(200).body().path("iscsi");
  }

  private static byte[] pattern(int value) {
    byte[] data = new byte[BLOCK * SECTOR_BYTES];
    Arrays.fill(data, (byte) value);
    return data;
  }

  private static void assertGood(Initiator initiator, byte[] cdb, byte[] data) throws IOException {
    Answer answer = initiator.execute(cdb, data, 0);
    assertEquals(Initiator.GOOD, answer.status(), answer::toString);
  }

  private static byte[] read(Initiator initiator, long lba) throws IOException {
    Answer answer = initiator.execute(Cdb.read(lba, BLOCK), new byte[0], BLOCK * SECTOR_BYTES);
    assertEquals(Initiator.GOOD, answer.status(), answer::toString);
    return answer.data();
  }

  /** Discards until all of the disk is done or it is refused; how it ended. */
  private static Answer flood(
      Initiator initiator, long diskSectors, Pattern pattern, Neighbour neighbour)
      throws IOException {
    int open = 0;
    long sent = 0;
    for (long page = 0; page < diskSectors; page += (long) pattern.pages() * PAGE) {
      initiator.send(
          Cdb.unmap(pattern.descriptors()),
          Cdb.unmapList(page, BLOCK, pattern.strideSectors(), pattern.descriptors()),
          0);
      if (++open == DEPTH) {
        Answer answer = initiator.receive();
        open--;
        if (answer.status() != Initiator.GOOD) {
          drain(initiator, open);
          return answer;
        }
      }
      if (++sent % NEIGHBOURS_TURN == 0) {
        neighbour.read();
      }
    }
    drain(initiator, open - 1);
    return initiator.receive();
  }

  /** Somebody else's disk, which is read all the while. */
  private interface Neighbour {
    void read() throws IOException;
  }

  private static void drain(Initiator initiator, int open) throws IOException {
    for (int i = 0; i < open; i++) {
      initiator.receive();
    }
  }

  private void floodOf(long diskBytes, Pattern pattern, End expected) throws Exception {
    long sectors = diskBytes / SECTOR_BYTES;
    byte[] kept;
    try (ServeProcess server = start();
        TestApi api = server.api()) {
      Path file = TestServer.image(directory.resolve("base.raw"), IMAGE_MIB);
      api.succeeded(
          api.post(
              "/v1/images", "{'name':'base','format':'raw','source':{'path':'" + file + "'}}"));
      JsonNode flooded = expose(api, "d", ",'sizeBytes':" + diskBytes);
      JsonNode other = expose(api, "other", "");
      try (Initiator tenant = Initiator.login(flooded, NAME);
          Initiator neighbour = Initiator.login(other, NAME + "2")) {
        kept = read(tenant, BLOCK);
        assertFalse(Arrays.equals(pattern(0), kept));
        byte[] first = read(neighbour, 0);
        Answer end =
            flood(tenant, sectors, pattern, () -> assertArrayEquals(first, read(neighbour, 0)));
        System.out.println("the flood ended with " + end);
        if (expected == End.REFUSED) {
          assertEquals(DATA_PROTECT, end.senseKey(), end::toString);
          assertEquals(SPACE_ALLOCATION_FAILED, end.code(), end::toString);
          Patience.await(
              System.out,
              Duration.ofMinutes(2),
              "the event is there",
              () ->
                  api.get("/v1/events?limit=1000")
                      .expect(200)
                      .raw()
                      .body()
                      .contains("disk.fragmented"));
        } else {
          assertEquals(Initiator.GOOD, end.status(), end::toString);
        }
        // The session lives, and so does everybody else's.
        assertArrayEquals(pattern(0), read(tenant, 0));
        assertArrayEquals(kept, read(tenant, BLOCK));
        assertGood(tenant, Cdb.synchronizeCache(), new byte[0]);
        assertGood(neighbour, Cdb.write(0, BLOCK), pattern(7));
        assertArrayEquals(pattern(7), read(neighbour, 0));
        assertGood(neighbour, Cdb.synchronizeCache(), new byte[0]);
      }
      assertBounded(server);
      server.kill();
    }
    try (ServeProcess server = start();
        TestApi api = server.api();
        Initiator tenant = Initiator.login(iscsi(api, "d"), NAME);
        Initiator neighbour = Initiator.login(iscsi(api, "other"), NAME + "2")) {
      assertArrayEquals(pattern(0), read(tenant, 0));
      assertArrayEquals(kept, read(tenant, BLOCK));
      assertArrayEquals(pattern(0), read(tenant, sectors - BLOCK));
      assertArrayEquals(pattern(7), read(neighbour, 0));
      assertGood(neighbour, Cdb.write(STRIDE, BLOCK), pattern(8));
      // What makes the map smaller is let through, and then there is room again.
      int most = (512 << 20) / SECTOR_BYTES;
      assertGood(tenant, Cdb.unmap(), Cdb.unmapList(0, most));
      assertGood(tenant, Cdb.write(0, BLOCK), pattern(9));
      assertGood(tenant, Cdb.synchronizeCache(), new byte[0]);
      assertArrayEquals(pattern(9), read(tenant, 0));
      assertArrayEquals(pattern(0), read(tenant, BLOCK));
      assertBounded(server);
    }
  }

  @Test
  void aSmallServerRefusesWhatItsMemoryDoesNotHold() throws Exception {
    heapMib = 64;
    floodOf(8L << 40, Pattern.SPARSE, End.REFUSED);
  }

  @Test
  @Tag("long")
  void theMapOfATebibyteFitsIntoHalfAGibibyteOfHeap() throws Exception {
    heapMib = 512;
    floodOf(1L << 40, Pattern.DENSE, End.ALL_DONE);
  }
}
