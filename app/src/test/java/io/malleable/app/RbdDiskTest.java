package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.malleable.cli.DoctorCommand;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A server whose volumes are on a real Ceph cluster, and the initiator of QEMU. */
final class RbdDiskTest {
  private static Path cluster;

  @TempDir private Path directory;

  @BeforeAll
  static void startCluster() throws Exception {
    // Ceph's admin sockets live here, and the path of a socket is limited to 107 bytes.
    cluster = Files.createTempDirectory(Path.of("/tmp"), "m2-ceph");
    script("start");
  }

  @AfterAll
  static void stopCluster() throws Exception {
    script("stop");
    try (var paths = Files.walk(cluster)) {
      for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }

  private static void script(String action) throws Exception {
    Path log = cluster.resolveSibling(cluster.getFileName() + ".out");
    Process process =
        new ProcessBuilder("../script/ceph-cluster", action, cluster.toString())
            .redirectErrorStream(true)
            .redirectOutput(log.toFile())
            .start();
    int status = process.waitFor();
    String output = Files.readString(log);
    Files.delete(log);
    assertEquals(0, status, output);
  }

  /** A stop takes effect in each thread by itself, so that one may still answer after the call. */
  private static void osd(String signal) throws Exception {
    String pid = Files.readString(cluster.resolve("osd.pid")).strip();
    Programs.run(List.of("kill", "-" + signal, pid));
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    while (signal.equals("STOP") && !stopped(pid)) {
      assertTrue(System.nanoTime() < deadline, "the OSD does not stop");
      Thread.onSpinWait();
    }
  }

  private static boolean stopped(String pid) throws IOException {
    try (var threads = Files.list(Path.of("/proc", pid, "task"))) {
      for (Path thread : threads.toList()) {
        String status = Files.readString(thread.resolve("status"));
        if (!status.contains("State:\tT")) {
          return false;
        }
      }
      return true;
    }
  }

  private TestServer server(int timeoutSeconds) throws Exception {
    Map<Setting, String> settings = new EnumMap<>(Setting.class);
    settings.put(Setting.STORE_RBD_CONF, cluster.resolve("ceph.conf").toString());
    settings.put(Setting.STORE_RBD_USER, "m2");
    settings.put(Setting.STORE_RBD_POOL, "m2");
    settings.put(Setting.STORE_RBD_TIMEOUT, Integer.toString(timeoutSeconds));
    return TestServer.start(directory.resolve("data"), settings);
  }

  /** A clone of an image, exposed; its address with the account. */
  private String exposedClone(TestApi api) throws Exception {
    Path file = TestServer.image(directory.resolve("base.raw"), 8);
    api.succeeded(
        api.post("/v1/images", "{'name':'base','format':'raw','source':{'path':'" + file + "'}}"));
    api.post("/v1/disks", "{'name':'d','image':'base'}").expect(201);
    JsonNode iscsi = api.post("/v1/disks/d/expose", "").expect(200).body().path("iscsi");
    String account = iscsi.path("username").asText() + "%" + iscsi.path("password").asText();
    return iscsi.path("url").asText().replace("iscsi://", "iscsi://" + account + "@");
  }

  /** A session that stays open, and takes one command after the other. */
  private static final class Initiator implements AutoCloseable {
    private final Process process;

    /** Lines that tell how a read or write ended. */
    private final BlockingQueue<String> answers = new LinkedBlockingQueue<>();

    Initiator(String url) throws IOException {
      process =
          new ProcessBuilder("qemu-io", "-f", "raw", "-t", "writeback", url)
              .redirectErrorStream(true)
              .start();
      Thread.ofVirtual().start(this::listen);
    }

    private void listen() {
      process
          .inputReader()
          .lines()
          .filter(line -> line.matches(".*(write failed|verification failed|bytes at offset).*"))
          .forEach(answers::add);
    }

    void send(String command) throws IOException {
      process.outputWriter().write(command + "\n");
      process.outputWriter().flush();
    }

    String answer() throws InterruptedException {
      String answer = answers.poll(120, TimeUnit.SECONDS);
      assertTrue(answer != null, "qemu-io does not answer");
      return answer;
    }

    List<String> unread() {
      return List.copyOf(answers);
    }

    String perform(String command) throws IOException, InterruptedException {
      send(command);
      return answer();
    }

    @Override
    public void close() {
      process.destroy();
      process.onExit().join();
    }
  }

  /** The initiator's end of its TCP connection; a new session would have another one. */
  private static List<String> connections(TestServer server) throws Exception {
    String port = Integer.toString(server.addresses().iscsi().port());
    String list =
        Programs.run(List.of("ss", "-Htn", "state", "established", "dport", "=", ":" + port));
    List<String> ends = list.lines().map(line -> line.strip().split("\\s+", -1)[2]).toList();
    assertEquals(1, ends.size(), list);
    return ends;
  }

  @Test
  void ioOfAMachineStallsWhileAnOsdIsSilentAndGoesOnInTheSameSession() throws Exception {
    try (TestServer server = server(60)) {
      TestApi api = server.api();
      try (Initiator initiator = new Initiator(exposedClone(api))) {
        assertTrue(initiator.perform("write -P 1 0 4k").contains("wrote "));
        assertTrue(initiator.perform("read -P 1 0 4k").contains("read "));
        List<String> before = connections(server);
        osd("STOP");
        try {
          initiator.send("write -P 2 4k 4k");
          for (int i = 0; i < 20; i++) {
            // Asks no store; takes time, and shows that the server goes on for others meanwhile.
            api.get("/v1/nodes").expect(200);
            assertEquals(List.of(), initiator.unread(), "a silent OSD answered");
          }
        } finally {
          osd("CONT");
        }
        assertTrue(initiator.answer().contains("wrote "));
        assertTrue(initiator.perform("read -P 2 4k 4k").contains("read "));
        assertEquals(before, connections(server));
      }
    }
  }

  @Test
  void ioOfAMachineFailsWithSenseDataAfterTheTimeoutAndTheSessionSurvives() throws Exception {
    try (TestServer server = server(2)) {
      TestApi api = server.api();
      try (Initiator initiator = new Initiator(exposedClone(api))) {
        assertTrue(initiator.perform("write -P 1 0 4k").contains("wrote "));
        List<String> before = connections(server);
        osd("STOP");
        try {
          String failed = initiator.perform("write -P 2 4k 4k");
          assertTrue(failed.contains("Input/output error"), failed);
        } finally {
          osd("CONT");
        }
        assertTrue(initiator.perform("write -P 3 4k 4k").contains("wrote "));
        assertTrue(initiator.perform("read -P 3 4k 4k").contains("read "));
        assertTrue(initiator.perform("read -P 1 0 4k").contains("read "));
        assertEquals(before, connections(server));
      }
    }
  }

  @Test
  void aDiskIsShownWithWhereItIsUsedWhileAnOsdIsSilent() throws Exception {
    try (TestServer server = server(60)) {
      TestApi api = server.api();
      exposedClone(api);
      api.post("/v1/disks", "{'name':'other','image':'base'}").expect(201);
      assertFalse(api.get("/v1/disks/d").expect(200).body().has("storeFault"));
      osd("STOP");
      try {
        JsonNode disk = api.get("/v1/disks/d").expect(200).body();
        assertEquals("exposed", disk.path("state").asText());
        assertTrue(disk.path("iscsi").has("target"), disk::toString);
        assertEquals("base", disk.path("parent").asText());
        assertFalse(disk.has("allocatedBytes"), disk::toString);
        assertFalse(disk.has("damage"), disk::toString);
        assertFalse(disk.path("storeFault").asText().isEmpty(), disk::toString);
        JsonNode list = api.get("/v1/disks").expect(200).body().path("items");
        assertEquals(2, list.size(), list::toString);
        list.forEach(item -> assertTrue(item.has("storeFault"), item::toString));
        String shown = server.m2("disk show d");
        assertTrue(shown.lines().anyMatch(l -> l.matches("own +unknown: the store .*")), shown);
        String listed = server.m2("disk list");
        assertTrue(listed.lines().anyMatch(l -> l.matches("d +exposed .*")), listed);
        assertTrue(listed.contains("unknown: the store does not say: "), listed);
        JsonNode system = api.get("/v1/system").expect(200).body();
        assertFalse(system.path("storeFault").asText().isEmpty(), system::toString);
        // The monitors know that.
        assertTrue(system.at("/capacity/availableBytes").asLong() > 0, system::toString);
        assertFalse(system.path("capacity").has("sharedBytes"), system::toString);
        String status = server.m2("status");
        assertTrue(status.contains(" free\n"), status);
        assertTrue(status.lines().anyMatch(l -> l.matches("damaged +unknown: .*")), status);
      } finally {
        osd("CONT");
      }
      long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
      while (api.get("/v1/disks/d").expect(200).body().has("storeFault")) {
        assertTrue(System.nanoTime() < deadline, "the store is not asked again");
      }
      assertTrue(api.get("/v1/disks/d").body().has("allocatedBytes"));
    }
  }

  private Outcome doctor(String... more) {
    List<String> words = new ArrayList<>(List.of("doctor", "--data"));
    words.add(directory.resolve("data").toString());
    words.addAll(List.of(more));
    return Outcome.of(
        Map.of(),
        Map.of("doctor", () -> new DoctorCommand(new LocalStoreCheck())),
        words.toArray(String[]::new));
  }

  @Test
  void doctorLooksAtTheClusterAndSaysWhoScrubsIt() throws Exception {
    server(2).close();
    String well = doctor().out();
    assertTrue(well.contains("Ceph libraries"), well);
    assertTrue(well.contains("the key of client.m2 is accepted"), well);
    assertTrue(well.contains(" images, "), well);
    assertFalse(well.contains("failed  Ceph"), well);

    Outcome verified = doctor("--verify");
    assertEquals(1, verified.status());
    assertTrue(verified.err().contains("ceph osd pool deep-scrub m2"), verified.err());

    Path note = directory.resolve("data").resolve(RbdNote.FILE);
    String written = Files.readString(note);
    Files.writeString(note, written.replace("\"pool\":\"m2\"", "\"pool\":\"absent\""));
    Outcome pool = doctor();
    assertTrue(pool.out().contains("store.rbd.pool") && pool.status() == 1, pool.out());
    Files.writeString(note, written.replace("\"user\":\"m2\"", "\"user\":\"nobody\""));
    Outcome user = doctor();
    assertTrue(user.out().contains("store.rbd.user") && user.status() == 1, user.out());
    Files.writeString(note, written.replace("ceph.conf", "other.conf"));
    Outcome conf = doctor();
    assertTrue(conf.out().contains("store.rbd.conf") && conf.status() == 1, conf.out());
  }
}
