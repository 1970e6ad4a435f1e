package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.malleable.iscsi.RawInitiator.Pdu;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a reservation promises to those who fence others off with it (SPC-4 5.13). */
class PersistentReservationsTest {
  private static final int REGISTER = 0;
  private static final int RESERVE = 1;
  private static final int CLEAR = 3;
  private static final int PREEMPT_AND_ABORT = 5;
  private static final int WRITE_EXCLUSIVE_REGISTRANTS_ONLY = 5;
  private static final int CONFLICT = 0x18;

  private static final long A = 0xaaaa;
  private static final long B = 0xbbbb;

  private static TestServer serving(LogicalUnit unit, ReservationStore store) throws IOException {
    return TestServer.serving(
        List.of(new TargetDefinition(TestServer.TARGET, Map.of(0, unit), Access.open())),
        store,
        new TargetListener() {},
        UnaryOperator.identity());
  }

  private static RawInitiator session(TestServer server, int number) throws IOException {
    RawInitiator initiator = new RawInitiator(server.address());
    initiator.isid += number;
    initiator.login(TestServer.INITIATOR);
    return initiator.ready();
  }

  private static Pdu out(
      RawInitiator initiator, int action, int type, long key, long actionKey, int persist)
      throws IOException {
    byte[] cdb = new byte[16];
    cdb[0] = 0x5f;
    cdb[1] = (byte) action;
    cdb[2] = (byte) type;
    cdb[8] = 24;
    byte[] list =
        ByteBuffer.allocate(24).putLong(key).putLong(actionKey).put(20, (byte) persist).array();
    initiator.send(initiator.command(0xa0, 24, cdb), list);
    return initiator.receive();
  }

  private static List<Long> keys(RawInitiator initiator) throws IOException {
    byte[] cdb = new byte[16];
    cdb[0] = 0x5e;
    cdb[8] = 64;
    initiator.send(initiator.command(0xc0, 64, cdb), new byte[0]);
    ByteBuffer list = ByteBuffer.wrap(initiator.receive().data());
    Long[] keys = new Long[list.getInt(4) / 8];
    Arrays.setAll(keys, i -> list.getLong(8 + 8 * i));
    return List.of(keys);
  }

  /** SPC-4 5.13.11.5: afterwards nothing that the preempted began can reach the medium. */
  @ParameterizedTest
  @ValueSource(ints = {1, 8})
  void preemptAndAbortIsNotGoodWhileAnOldWriteIsInTheStore(int concurrency) throws Exception {
    FaultyUnit unit = new FaultyUnit(new MemoryUnit(1 << 20).concurrency(concurrency));
    try (TestServer server = serving(unit, ReservationStore.none());
        RawInitiator victim = session(server, 0);
        RawInitiator fencer = session(server, 1)) {
      int type = WRITE_EXCLUSIVE_REGISTRANTS_ONLY;
      assertEquals(0, out(victim, REGISTER, 0, 0, A, 0).scsiStatus());
      assertEquals(0, out(victim, RESERVE, type, A, 0, 0).scsiStatus());
      assertEquals(0, out(fencer, REGISTER, 0, 0, B, 0).scsiStatus());
      ByteBuffer waits = victim.command(0xa0, 4096, RawInitiator.write10(8, 8));
      victim.send(waits, new byte[0]);
      int transferTag = victim.receive().header().getInt(20);
      unit.holdWrites();
      victim.send(victim.command(0xa0, 512, RawInitiator.write10(0, 1)), new byte[512]);
      unit.awaitHeldWrite();
      assertEquals(0x20407, out(fencer, PREEMPT_AND_ABORT, type, B, A, 0).sense());
      assertEquals(List.of(A, B), keys(fencer), "nothing has changed");
      unit.letGo();
      assertEquals(0, victim.receive().scsiStatus());
      assertEquals(0, out(fencer, PREEMPT_AND_ABORT, type, B, A, 0).scsiStatus());
      assertEquals(List.of(B), keys(fencer));
      ByteBuffer data = victim.dataOut(waits.getInt(16), transferTag, 0, 0, true);
      byte[] ones = new byte[4096];
      Arrays.fill(ones, (byte) 1);
      victim.send(data, ones);
      assertEquals(0x62a05, victim.execute(new byte[16]).sense());
      assertArrayEquals(new byte[4096], fencer.read(8, 8, 512));
      assertEquals(CONFLICT, victim.write(0, new byte[512], 512).scsiStatus());
      assertEquals(0, fencer.write(0, new byte[512], 512).scsiStatus());
    }
  }

  @Test
  void whatIsUnregisteredOrClearedStaysSoOverARestart(@TempDir Path directory) throws Exception {
    MemoryUnit unit = new MemoryUnit(1 << 20);
    DirectoryReservationStore store = new DirectoryReservationStore(directory);
    try (TestServer server = serving(unit, store);
        RawInitiator first = session(server, 0);
        RawInitiator second = session(server, 1)) {
      assertEquals(0, out(first, REGISTER, 0, 0, A, 1).scsiStatus());
      assertEquals(0, out(second, REGISTER, 0, 0, B, 1).scsiStatus());
      assertEquals(0, out(first, RESERVE, 1, A, 0, 0).scsiStatus());
    }
    try (TestServer server = serving(unit, store);
        RawInitiator first = session(server, 0)) {
      assertEquals(List.of(A, B), keys(first));
      assertEquals(0, out(first, REGISTER, 0, A, 0, 1).scsiStatus());
    }
    try (TestServer server = serving(unit, store);
        RawInitiator first = session(server, 0);
        RawInitiator second = session(server, 1)) {
      assertEquals(List.of(B), keys(second));
      assertEquals(0, first.write(0, new byte[512], 512).scsiStatus(), "nothing is reserved");
      assertEquals(0, out(second, CLEAR, 0, B, 0, 0).scsiStatus());
    }
    try (TestServer server = serving(unit, store);
        RawInitiator second = session(server, 1)) {
      assertEquals(List.of(), keys(second));
    }
  }

  @Test
  void aRegistrationWithoutPersistenceForgetsWhatWasSaved(@TempDir Path directory)
      throws Exception {
    MemoryUnit unit = new MemoryUnit(1 << 20);
    DirectoryReservationStore store = new DirectoryReservationStore(directory);
    try (TestServer server = serving(unit, store);
        RawInitiator first = session(server, 0)) {
      assertEquals(0, out(first, REGISTER, 0, 0, A, 1).scsiStatus());
      assertEquals(0, out(first, REGISTER, 0, A, B, 0).scsiStatus());
      assertEquals(List.of(B), keys(first));
    }
    try (TestServer server = serving(unit, store);
        RawInitiator first = session(server, 0)) {
      assertEquals(List.of(), keys(first));
    }
  }

  @Test
  void whatCannotBeSavedIsRefusedAndNotInForce() throws Exception {
    ReservationStore full =
        new ReservationStore() {
          @Override
          public Optional<byte[]> load(UUID logicalUnit) {
            return Optional.empty();
          }

          @Override
          public void save(UUID logicalUnit, byte[] content) throws IOException {
            throw new IOException("No space left on device");
          }
        };
    try (TestServer server = serving(new MemoryUnit(1 << 20), full);
        RawInitiator initiator = session(server, 0)) {
      assertEquals(0x44400, out(initiator, REGISTER, 0, 0, A, 1).sense());
      assertEquals(List.of(), keys(initiator));
    }
  }

  /** SPC-2 5.5.1, SPC-4 5.13.3: each kind of reservation shuts the other out. */
  @Test
  void reserveAndReleaseConflictWithRegistrationsAndTheReverse() throws Exception {
    byte[] reserve = ByteBuffer.allocate(16).put((byte) 0x16).array();
    byte[] release = ByteBuffer.allocate(16).put((byte) 0x17).array();
    try (TestServer server = serving(new MemoryUnit(1 << 20), ReservationStore.none());
        RawInitiator initiator = session(server, 0)) {
      assertEquals(0, initiator.execute(reserve).scsiStatus());
      assertEquals(CONFLICT, out(initiator, REGISTER, 0, 0, A, 0).scsiStatus());
      assertEquals(0, initiator.execute(release).scsiStatus());
      assertEquals(0, out(initiator, REGISTER, 0, 0, A, 0).scsiStatus());
      assertEquals(CONFLICT, initiator.execute(reserve).scsiStatus());
      assertEquals(CONFLICT, initiator.execute(release).scsiStatus());
    }
  }

  @Test
  void whoIsToldOfALogoutFindsFreeWhatTheSessionHeld() throws Exception {
    byte[] reserve = ByteBuffer.allocate(16).put((byte) 0x16).array();
    byte[] release = ByteBuffer.allocate(16).put((byte) 0x17).array();
    try (TestServer server = serving(new MemoryUnit(1 << 20), ReservationStore.none());
        RawInitiator next = session(server, 0)) {
      for (int i = 0; i < 300; i++) {
        try (RawInitiator holder = session(server, 1)) {
          assertEquals(0, holder.execute(reserve).scsiStatus());
          assertEquals(CONFLICT, next.execute(reserve).scsiStatus());
          assertEquals(0x26, holder.logout().opcode());
          assertEquals(0, next.execute(reserve).scsiStatus(), "after logout " + i);
          assertEquals(0, next.execute(release).scsiStatus());
        }
      }
    }
  }

  @Test
  void anAdministratorSeesThemAndEndsThemWhoeverHoldsThem(@TempDir Path directory)
      throws Exception {
    MemoryUnit unit = new MemoryUnit(1 << 20);
    DirectoryReservationStore store = new DirectoryReservationStore(directory);
    try (TestServer server = serving(unit, store);
        RawInitiator holder = session(server, 0);
        RawInitiator other = session(server, 1)) {
      assertEquals(0, out(holder, REGISTER, 0, 0, A, 1).scsiStatus());
      assertEquals(0, out(other, REGISTER, 0, 0, B, 1).scsiStatus());
      assertEquals(0, out(holder, RESERVE, 1, A, 0, 0).scsiStatus());
      assertEquals(
          new ReservationReport(
              Optional.of("write-exclusive"),
              true,
              List.of(
                  new ReservationReport.Registrant(TestServer.INITIATOR, holder.isid, 1, A, true),
                  new ReservationReport.Registrant(TestServer.INITIATOR, other.isid, 1, B, false))),
          server.server().reservations(TestServer.TARGET, 0).orElseThrow());
      assertEquals(CONFLICT, other.write(0, new byte[512], 512).scsiStatus());
      server.server().clearReservations(TestServer.TARGET, 0);
      assertEquals(0x62a03, holder.execute(new byte[16]).sense());
      assertEquals(0x62a03, other.execute(new byte[16]).sense());
      assertEquals(0, other.write(0, new byte[512], 512).scsiStatus());
      assertEquals(List.of(), keys(other));
      assertEquals(Optional.empty(), store.load(unit.identity().id()));
      assertEquals(
          new ReservationReport(Optional.empty(), false, List.of()),
          server.server().reservations(TestServer.TARGET, 0).orElseThrow());
      // Who was not logged in is not there either; nothing to end is nothing to tell.
      server.server().clearReservations(TestServer.TARGET, 0);
      server.server().clearReservations("iqn.2026-11.io.malleable:other", 0);
      assertEquals(0, other.execute(new byte[16]).scsiStatus());
      assertEquals(Optional.empty(), server.server().reservations(TestServer.TARGET, 7));
    }
  }

  @Test
  void whatCannotBeForgottenIsStillInForce() throws Exception {
    boolean[] fails = new boolean[1];
    ReservationStore store =
        new ReservationStore() {
          @Override
          public Optional<byte[]> load(UUID logicalUnit) {
            return Optional.empty();
          }

          @Override
          public void save(UUID logicalUnit, byte[] content) throws IOException {
            if (fails[0]) {
              throw new IOException("Input/output error");
            }
          }
        };
    try (TestServer server = serving(new MemoryUnit(1 << 20), store);
        RawInitiator initiator = session(server, 0)) {
      assertEquals(0, out(initiator, REGISTER, 0, 0, A, 1).scsiStatus());
      fails[0] = true;
      assertThrows(
          IOException.class, () -> server.server().clearReservations(TestServer.TARGET, 0));
      assertEquals(List.of(A), keys(initiator));
    }
  }
}
