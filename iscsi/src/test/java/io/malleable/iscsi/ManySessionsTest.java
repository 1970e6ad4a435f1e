package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

/** A boot storm: a thousand machines log in at once and then mostly wait. */
class ManySessionsTest {
  private static final int SESSIONS = 1000;
  private static final int CLIENTS = 32;

  /** The whole process, this test's thousand initiators included. */
  private static final long MAX_BYTES_PER_SESSION = 256 * 1024;

  @Test
  void aThousandSessionsShareOneServerAndCostLittle() throws Exception {
    List<TargetDefinition> targets =
        List.of(
            new TargetDefinition(
                TestServer.TARGET, Map.of(0, new NullUnit(1L << 30)), Access.open()));
    try (TestServer server =
        TestServer.serving(
            targets,
            ReservationStore.none(),
            new TargetListener() {},
            config -> config.withMaxSessionsPerTarget(SESSIONS))) {
      List<RawInitiator> initiators = new ArrayList<>();
      try {
        RawInitiator.loggedIn(server).ready().close();
        long before = residentBytes();
        long started = System.nanoTime();
        initiators.addAll(logIn(server));
        long millis = (System.nanoTime() - started) / 1_000_000;
        long perSession = (residentBytes() - before) / SESSIONS;
        System.out.println(
            SESSIONS + " logins in " + millis + " ms, " + perSession / 1024 + " KiB each");
        assertEquals(SESSIONS, server.server().sessions().size());
        assertTrue(perSession <= MAX_BYTES_PER_SESSION, perSession + " bytes for each session");
        for (RawInitiator initiator : initiators) {
          initiator.read(0, 8, 512);
        }
      } finally {
        for (RawInitiator initiator : initiators) {
          initiator.close();
        }
      }
    }
  }

  private static List<RawInitiator> logIn(TestServer server) throws Exception {
    List<RawInitiator> initiators = new ArrayList<>();
    try (ExecutorService clients = Executors.newFixedThreadPool(CLIENTS)) {
      List<Future<RawInitiator>> logins = new ArrayList<>();
      for (int i = 0; i < SESSIONS; i++) {
        long isid = 0x00023d100000L + i;
        logins.add(
            clients.submit(() -> {
              RawInitiator initiator = new RawInitiator(server.address());
              initiator.isid = isid;
              assertEquals(0, initiator.login(TestServer.INITIATOR).loginStatus());
              return initiator.ready();
            }));
      }
      for (Future<RawInitiator> login : logins) {
        initiators.add(login.get());
      }
    }
    return initiators;
  }

  /** Resident memory after a collection: heap in use and everything outside of the heap. */
  private static long residentBytes() throws IOException {
    System.gc();
    long resident = 0;
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith("VmRSS:")) {
        resident = Long.parseLong(line.replaceAll("\\D", "")) * 1024;
      }
    }
    var heap = ManagementFactory.getMemoryMXBean().getHeapMemoryUsage();
    return resident - heap.getCommitted() + heap.getUsed();
  }
}
