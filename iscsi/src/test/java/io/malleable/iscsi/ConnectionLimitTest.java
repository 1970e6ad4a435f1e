package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.iscsi.RawInitiator.Pdu;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Whoever finds no place hears why, and others do not notice. */
class ConnectionLimitTest {
  private static final int LOGIN_RESPONSE = 0x23;
  private static final int OUT_OF_RESOURCES = 0x0302;
  private static final int LIMIT = 3;

  private final List<RawInitiator> loggedIn = new ArrayList<>();
  private TestServer server;

  @BeforeEach
  void everyPlaceIsTaken() throws IOException {
    LogicalUnit unit = new MemoryUnit(1 << 20);
    server =
        TestServer.serving(
            List.of(new TargetDefinition(TestServer.TARGET, Map.of(0, unit), Access.open())),
            ReservationStore.none(),
            new TargetListener() {},
            config -> config.withMaxConnections(LIMIT));
    for (int i = 0; i < LIMIT; i++) {
      RawInitiator initiator = new RawInitiator(server.address());
      initiator.isid += i;
      assertEquals(0, initiator.login(TestServer.INITIATOR).loginStatus());
      loggedIn.add(initiator.ready());
    }
  }

  @AfterEach
  void thoseWithAPlaceAreServed() throws IOException {
    for (RawInitiator initiator : loggedIn) {
      assertEquals(0, initiator.write(0, new byte[512], 512).scsiStatus());
      initiator.close();
    }
    server.close();
  }

  @Test
  void aLoginBeyondTheLimitIsRefusedWithTheReason() throws IOException {
    try (RawInitiator initiator = new RawInitiator(server.address())) {
      initiator.isid = 0x00023d001234L;
      initiator.nextTag = 77;
      Pdu answer = initiator.login(TestServer.INITIATOR);
      assertEquals(LOGIN_RESPONSE, answer.opcode());
      assertEquals(OUT_OF_RESOURCES, answer.loginStatus());
      assertEquals(initiator.isid << 16, answer.header().getLong(8), "ISID, and no TSIH");
      assertEquals(0, answer.header().getInt(16), "task tag");
      assertEquals(0x04, answer.flags(), "stays in its stage");
      assertTrue(initiator.endsWithoutAWord());
    }
  }

  @Test
  void theLimitHoldsOverAllPortalsTogether() throws IOException {
    try (RawInitiator initiator = new RawInitiator(server.otherAddress())) {
      assertEquals(OUT_OF_RESOURCES, initiator.login(TestServer.INITIATOR).loginStatus());
    }
  }

  @Test
  void thePlaceOfOneThatLeavesIsFree() throws Exception {
    RawInitiator leaving = loggedIn.removeFirst();
    leaving.logout();
    assertTrue(leaving.endsWithoutAWord());
    leaving.close();
    while (server.server().counters().connections() == LIMIT) {
      Thread.onSpinWait();
    }
    try (RawInitiator initiator = new RawInitiator(server.address())) {
      assertEquals(0, initiator.login(TestServer.INITIATOR).loginStatus());
    }
  }

  @Test
  void whatIsNoLoginIsCutOffWithoutAWord() throws IOException {
    try (RawInitiator initiator = new RawInitiator(server.address())) {
      initiator.send(initiator.command(0x80, 0, new byte[16]), new byte[0]);
      assertTrue(initiator.endsWithoutAWord());
    }
  }

  @Test
  void whoSaysNothingTakesNoPlaceFromThoseWhoDo() throws IOException {
    List<RawInitiator> silent = new ArrayList<>();
    try {
      for (int i = 0; i < 200; i++) {
        silent.add(new RawInitiator(server.address()));
      }
      // More than are listened to at once are closed; it is never the limit's sessions that suffer.
      assertTrue(silent.getLast().endsWithoutAWord());
    } finally {
      for (RawInitiator each : silent) {
        each.close();
      }
    }
    int status = 0;
    while (status != OUT_OF_RESOURCES) {
      status = refusedOrClosed();
    }
  }

  private int refusedOrClosed() throws IOException {
    try (RawInitiator initiator = new RawInitiator(server.address())) {
      return initiator.login(TestServer.INITIATOR).loginStatus();
    } catch (java.io.EOFException | java.net.SocketException e) {
      return 0;
    }
  }
}
