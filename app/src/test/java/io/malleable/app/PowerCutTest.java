package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertThrows;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * The power of the server's host is cut while machines live on. What was flushed is there, the rest
 * is old or new, and nobody goes on unnoticed over writes that were lost.
 */
class PowerCutTest {
  private static final int SECTORS = 16_384;
  private static final int CUTS = 4;
  private static final int MAX_CHANGES_BEFORE_A_CUT = 2_000;

  private final long seed = new Random().nextLong();
  private final Random random = new Random(seed);
  private Path directory;
  private VirtualHost host;

  @BeforeEach
  void start() throws Exception {
    // The names of sockets are short.
    directory = Files.createTempDirectory("m2-host-");
    host = VirtualHost.start(directory, DiskModel.image(0, SECTORS));
    try (TestApi api = host.api()) {
      api.succeeded(
          api.post(
              "/v1/images",
              "{'name':'base','format':'raw','source':{'path':'"
                  + VirtualHost.IMAGE_IN_HOST
                  + "'}}"));
    }
  }

  @AfterEach
  void end() throws IOException {
    if (host != null) {
      host.close();
    }
    try (Stream<Path> paths = Files.walk(directory)) {
      for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }

  @Test
  @Tag("long")
  void whatWasFlushedOutlivesThePowerCutAndTheOldMachineIsHeld() throws Exception {
    System.out.println("seed " + seed);
    DiskLoad load = disk("d", "{'writeCache':true}");
    try {
      for (int cut = 1; cut <= CUTS; cut++) {
        load.begin(new DiskLoad.Mix(1 + random.nextInt(16), 3));
        load.awaitAcknowledged(100 + random.nextInt(MAX_CHANGES_BEFORE_A_CUT));
        JsonNode before = iscsi("d");
        if (cut % 2 == 0) {
          dieFirst(load, "kill before cut " + cut);
        }
        host.cutPower();
        load.awaitLossOfSilent();
        if (cut % 2 == 1) {
          assertThrows(
              Initiator.LoginRefusedException.class,
              () -> load.logIn(host.iscsi(), before),
              "the machine of before goes on; seed " + seed);
        }
        load.logIn(host.iscsi(), iscsi("d"));
        load.verifyFlushed("cut " + cut + ", seed " + seed);
      }
    } finally {
      load.logOut();
    }
  }

  /**
   * The server's process dies, and the next one is told to flush: what the first left in the page
   * cache is made durable, too.
   */
  private void dieFirst(DiskLoad load, String when) throws Exception {
    host.killServer();
    load.awaitLoss();
    load.logIn(host.iscsi(), iscsi("d"));
    load.verify(when + ", seed " + seed);
    load.flush();
  }

  @Test
  @Tag("long")
  void whatADiskWithoutAWriteCacheAcknowledgedOutlivesThePowerCutAndItsMachineGoesOn()
      throws Exception {
    System.out.println("seed " + seed);
    DiskLoad load = disk("w", "");
    try {
      JsonNode iscsi = iscsi("w");
      for (int cut = 1; cut <= CUTS; cut++) {
        load.begin(new DiskLoad.Mix(1 + random.nextInt(16), 0));
        load.awaitAcknowledged(random.nextInt(MAX_CHANGES_BEFORE_A_CUT / 10));
        host.cutPower();
        load.awaitLossOfSilent();
        load.logIn(host.iscsi(), iscsi);
        load.verify("cut " + cut + ", seed " + seed);
      }
    } finally {
      load.logOut();
    }
  }

  private DiskLoad disk(String name, String exposure) throws Exception {
    try (TestApi api = host.api()) {
      api.post("/v1/disks", "{'name':'" + name + "','image':'base'}").expect(201);
      api.post("/v1/disks/" + name + "/expose", exposure).expect(200);
    }
    DiskLoad load = new DiskLoad(DiskModel.of(1, DiskModel.image(0, SECTORS)), random.nextLong());
    load.logIn(host.iscsi(), iscsi(name));
    return load;
  }

  private JsonNode iscsi(String disk) throws Exception {
    try (TestApi api = host.api()) {
      return api.get("/v1/disks/" + disk).expect(200).body().path("iscsi");
    }
  }
}
