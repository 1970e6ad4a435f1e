package io.malleable.app;

import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A machine lives on while its server is killed. It logs in again and finds all that was
 * acknowledged, flushed or not: the kernel of the server's host has it.
 */
final class AcknowledgedWritesTest {
  private static final int SECTORS = 32_768;
  private static final int KILLS = 20;
  private static final int MAX_CHANGES_BEFORE_A_KILL = 1_500;

  @TempDir private Path directory;

  private final long seed = new Random().nextLong();
  private final Random random = new Random(seed);
  private final Map<String, FrozenContent> snapshots = new LinkedHashMap<>();

  @Test
  void allThatWasAcknowledgedIsThereAfterEachKillAndAfterAFlushThatFollowsIt() throws Exception {
    System.out.println("seed " + seed);
    byte[] image = DiskModel.image(0, SECTORS);
    DiskLoad load = new DiskLoad(DiskModel.of(1, image), random.nextLong());
    try (LastingServer server = LastingServer.start(directory.resolve("data"))) {
      server.importImage("base", directory.resolve("base.raw"), image);
      server.api().post("/v1/disks", "{'name':'d','image':'base'}").expect(201);
      load.logIn(server.expose("d"));
      try {
        int kills = 0;
        while (kills < KILLS) {
          kills += killUnder(load, server, "kill " + (kills + 1));
        }
        compareSnapshots(server);
      } catch (AssertionError | IOException e) {
        throw new AssertionError(
            "%s; seed %d; the server said:%n%s".formatted(e.getMessage(), seed, server.logTail()),
            e);
      } finally {
        load.logOut();
      }
    }
  }

  /** The kills that it made. */
  private int killUnder(DiskLoad load, LastingServer server, String which) throws Exception {
    // In most rounds nothing is flushed, so that the kernel alone keeps what was acknowledged.
    int flushPercent = random.nextInt(3) == 0 ? 3 : 0;
    load.begin(new DiskLoad.Mix(1 + random.nextInt(16), flushPercent));
    load.awaitAcknowledged(random.nextInt(MAX_CHANGES_BEFORE_A_KILL));
    if (random.nextInt(3) == 0) {
      snapshot(load, server);
      load.awaitAcknowledged(random.nextInt(MAX_CHANGES_BEFORE_A_KILL / 4));
    }
    server.kill();
    load.awaitLoss();
    logInAgain(load, server);
    load.verify(which + ", nothing flushed since");
    if (random.nextBoolean()) {
      return 1;
    }
    // What the process before left in the page cache is this flush's to make durable, and the next
    // process's to find.
    load.flush();
    server.kill();
    load.logOut();
    logInAgain(load, server);
    load.verify(which + ", a flush, and another kill");
    return 2;
  }

  private static void logInAgain(DiskLoad load, LastingServer server) throws Exception {
    server.startAgain();
    load.logIn(server.iscsi("d"));
  }

  private void snapshot(DiskLoad load, LastingServer server) throws Exception {
    String name = "s" + snapshots.size();
    DiskModel.State before = load.model().state();
    server.api().post("/v1/snapshots", "{'name':'" + name + "','disk':'d'}").expect(201);
    snapshots.put(name, new FrozenContent("d", load.model(), before, load.model().state()));
  }

  private void compareSnapshots(LastingServer server) throws Exception {
    for (Map.Entry<String, FrozenContent> snapshot : snapshots.entrySet()) {
      String clone = "of-" + snapshot.getKey();
      String body = "{'name':'%s','snapshot':'%s'}".formatted(clone, snapshot.getKey());
      server.api().post("/v1/disks", body).expect(201);
      DiskLoad reader = new DiskLoad(new DiskModel(2, SECTORS), 0);
      reader.logIn(server.expose(clone));
      snapshot.getValue().check(reader.readAll(), "snapshot " + snapshot.getKey());
      reader.logOut();
    }
  }
}
