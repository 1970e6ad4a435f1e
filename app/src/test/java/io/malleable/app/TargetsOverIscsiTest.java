package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.malleable.control.ChapCredentials;
import io.malleable.control.Targets;
import io.malleable.control.WriteCache;
import io.malleable.iscsi.DirectoryReservationStore;
import io.malleable.iscsi.IscsiServer;
import io.malleable.iscsi.IscsiServerConfig;
import io.malleable.iscsi.LogicalUnit;
import io.malleable.iscsi.Portal;
import io.malleable.iscsi.TargetDefinition;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Whatever fails, a target is there with its volume open, or neither is. */
final class TargetsOverIscsiTest {
  private static final UUID DISK = UUID.fromString("7b1f3f0e-34a2-4c7c-9a57-3d3f4f6f9f01");
  private static final String NAME = "iqn.2026-11.io.malleable:" + DISK;
  private static final Duration IO_LIMIT = Duration.ofMinutes(1);

  private final FaultyVolume volume = new FaultyVolume(DISK);
  private DirectoryReservationStore reservations;
  private IscsiServer server;
  private int port;
  private Function<Targets.Definition, Optional<LogicalUnit>> identity = _ -> Optional.empty();

  @BeforeEach
  void open(@TempDir Path directory) throws IOException {
    InetSocketAddress at = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
    reservations = new DirectoryReservationStore(directory);
    server =
        new IscsiServer(
            IscsiServerConfig.of(List.of(new Portal(at, 1))), reservations, new TargetEvents());
    port = server.open().getFirst().address().getPort();
  }

  @AfterEach
  void close() throws IOException {
    volume.readable.countDown();
    server.close();
  }

  private TargetsOverIscsi targets(Duration ioLimit) {
    return new TargetsOverIscsi(
        volume.store(), server, reservations, definition -> identity.apply(definition), ioLimit);
  }

  private static Targets.Definition definition(String secret) {
    return new Targets.Definition(
        DISK,
        NAME,
        Optional.empty(),
        new ChapCredentials("user", secret),
        WriteCache.WRITE_BACK,
        Optional.empty());
  }

  /** Whether libiscsi can log in and read the identity of the unit. */
  private boolean isServed(String secret) throws Exception {
    return Programs.status(List.of("iscsi-inq", url(secret))) == 0;
  }

  private String url(String secret) {
    return "iscsi://user%" + secret + "@127.0.0.1:" + port + "/" + NAME + "/0";
  }

  private void assertGone(TargetsOverIscsi targets) {
    assertEquals(Set.of(), targets.defined());
    assertEquals(List.of(), server.targets());
    assertFalse(volume.open);
  }

  @Test
  void aVolumeThatCannotBeFlushedIsWithdrawnAtTheFirstTryAndItsLossIsTold() throws Exception {
    TargetsOverIscsi targets = targets(IO_LIMIT);
    for (Exception failure :
        List.of(new IOException("the drive is dead"), new IllegalStateException("a defect"))) {
      targets.define(definition("first-secret"));
      volume.failsToClose = failure;
      assertEquals(Optional.ofNullable(failure.getMessage()), targets.withdraw(DISK));
      assertGone(targets);
      assertEquals(Optional.empty(), targets.withdraw(DISK), "it is gone");
    }
    targets.define(definition("first-secret"));
    assertTrue(isServed("first-secret"));
    assertEquals(Optional.empty(), targets.withdraw(DISK));
  }

  @Test
  void aHandleThatAFailedCloseKeptIsClosedBeforeTheVolumeIsOpenedAgain() throws Exception {
    TargetsOverIscsi targets = targets(IO_LIMIT);
    targets.define(definition("first-secret"));
    volume.letsGo = false;
    volume.failsToClose = new IOException("the cluster is away");
    assertEquals(Optional.of("the cluster is away"), targets.withdraw(DISK));
    assertEquals(Set.of(), targets.defined());
    assertEquals(List.of(), server.targets());
    volume.failsToClose = new IOException("the cluster is still away");
    IOException refused =
        assertThrows(IOException.class, () -> targets.define(definition("first-secret")));
    assertTrue(refused.toString().contains("still away"), refused::toString);
    assertEquals(Set.of(), targets.defined());
    targets.define(definition("first-secret"));
    assertEquals(Set.of(DISK), targets.defined());
    assertTrue(isServed("first-secret"));
  }

  @Test
  void aTargetIsReplacedByOneWithAnotherSecretAlsoWhenTheVolumeCannotBeFlushed() throws Exception {
    TargetsOverIscsi targets = targets(IO_LIMIT);
    targets.define(definition("first-secret"));
    volume.failsToClose = new IOException("the drive is dead");
    targets.define(definition("other-secret"));
    assertEquals(Set.of(DISK), targets.defined());
    assertTrue(isServed("other-secret"));
    assertFalse(isServed("first-secret"));
  }

  @Test
  void aTargetThatCannotBeDefinedLeavesNothingOpenAndSaysWhatFailedFirst() throws Exception {
    TargetsOverIscsi targets = targets(IO_LIMIT);
    volume.failsToOpen = true;
    assertThrows(IOException.class, () -> targets.define(definition("first-secret")));
    assertGone(targets);
    volume.failsToOpen = false;
    identity =
        _ -> {
          throw new UncheckedIOException(new IOException("no identity"));
        };
    volume.failsToClose = new IOException("nor a flush");
    assertThrows(UncheckedIOException.class, () -> targets.define(definition("first-secret")));
    assertGone(targets);
    identity = _ -> Optional.empty();
    targets.define(definition("first-secret"));
    assertTrue(isServed("first-secret"));
  }

  @Test
  void aTargetThatTheServerRefusesLeavesNothingOpen() throws Exception {
    TargetsOverIscsi targets = targets(IO_LIMIT);
    server.define(
        new TargetDefinition(
            NAME,
            Map.of(0, new VolumeLogicalUnit(new FaultyVolume(DISK))),
            io.malleable.iscsi.Access.open()));
    assertThrows(IllegalArgumentException.class, () -> targets.define(definition("first-secret")));
    assertEquals(Set.of(), targets.defined());
    assertFalse(volume.open);
  }

  @Test
  void aTargetWhoseIoDoesNotEndIsNotThereAndIsDefinedAnewWhenItHas() throws Exception {
    // Below the margin, so that the limit is over at once.
    TargetsOverIscsi targets = targets(Duration.ofSeconds(-10));
    targets.define(definition("first-secret"));
    volume.readable = new CountDownLatch(1);
    Process reader =
        new ProcessBuilder("qemu-io", "-f", "raw", "-c", "read 0 512", url("first-secret"))
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .start();
    try {
      assertTrue(volume.reading.await(1, TimeUnit.MINUTES), "the read did not come");
      assertThrows(IOException.class, () -> targets.withdraw(DISK));
      assertEquals(Set.of(), targets.defined(), "it takes no session");
      assertTrue(volume.open);
      assertThrows(IOException.class, () -> targets.define(definition("first-secret")));
      assertTrue(volume.open, "nobody else may have the volume");
    } finally {
      reader.destroyForcibly().onExit().join();
    }
    volume.readable.countDown();
    // Waits for the end of the read.
    server.withdraw(NAME, IO_LIMIT);
    targets.define(definition("first-secret"));
    assertEquals(Set.of(DISK), targets.defined());
    assertTrue(isServed("first-secret"));
  }

  /** How an {@link Initiator} finds the target. */
  private JsonNode iscsi(String secret) {
    return TestApi.JSON
        .createObjectNode()
        .put("portal", "127.0.0.1:" + port)
        .put("target", NAME)
        .put("username", "user")
        .put("password", secret);
  }

  @Test
  void aWithdrawalThatIsTakenBackKeepsWhatAMachineReserved() throws Exception {
    TargetsOverIscsi targets = targets(IO_LIMIT);
    targets.define(definition("first-secret"));
    try (Initiator machine = Initiator.login(iscsi("first-secret"), "iqn.2026-11.test:one")) {
      machine.execute(Cdb.registerKey(), Cdb.reservationKeys(0, 1), 0);
      machine.execute(Cdb.reserve(), Cdb.reservationKeys(1, 0), 0);
    }
    targets.withdraw(DISK);
    assertEquals(Optional.empty(), targets.reservations(DISK), "there is no target");
    targets.define(definition("first-secret"));
    try (Initiator other = Initiator.login(iscsi("first-secret"), "iqn.2026-11.test:two")) {
      Initiator.Answer refused = other.execute(Cdb.write(0, 1), new byte[512], 0);
      assertEquals(Initiator.RESERVATION_CONFLICT, refused.status(), refused::toString);
    }
    Targets.Registrant holder = targets.reservations(DISK).orElseThrow().registrants().getFirst();
    assertEquals("iqn.2026-11.test:one", holder.initiator());
    assertTrue(holder.holder());
    targets.withdraw(DISK);
    targets.clearReservations(DISK);
    targets.define(definition("first-secret"));
    try (Initiator other = Initiator.login(iscsi("first-secret"), "iqn.2026-11.test:two")) {
      Initiator.Answer written = other.execute(Cdb.write(0, 1), new byte[512], 0);
      assertEquals(Initiator.GOOD, written.status(), written::toString);
    }
  }
}
