package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.iscsi.RawInitiator.Pdu;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * PREVENT ALLOW MEDIUM REMOVAL and START STOP UNIT (SPC-4 6.17, SBC-3 5.25), for which libiscsi's
 * suite wants a removable medium. Ours is none: what may not be ejected while it is prevented
 * cannot be ejected at all, which is told differently.
 */
class MediumRemovalTest {
  private static final int REMOVAL_PREVENTED = 0x55302;
  private static final int INVALID_FIELD_IN_CDB = 0x52400;

  private final FaultyUnit unit = new FaultyUnit(new MemoryUnit(1 << 20));
  private final Recorder recorder = new Recorder();
  private TestServer server;
  private RawInitiator one;
  private RawInitiator two;

  @BeforeEach
  void twoAreLoggedIn() throws IOException {
    server =
        TestServer.serving(
            List.of(new TargetDefinition(TestServer.TARGET, Map.of(0, unit), Access.open())),
            ReservationStore.none(),
            recorder,
            UnaryOperator.identity());
    one = RawInitiator.loggedIn(server).ready();
    two = logInAnew(1);
  }

  @AfterEach
  void close() throws IOException {
    one.close();
    two.close();
    server.close();
  }

  private RawInitiator logInAnew(int port) throws IOException {
    RawInitiator initiator = new RawInitiator(server.address());
    initiator.isid += port;
    initiator.login(TestServer.INITIATOR);
    return initiator.ready();
  }

  private static void prevent(RawInitiator initiator, int prevent) throws IOException {
    byte[] cdb = new byte[16];
    cdb[0] = 0x1e;
    cdb[4] = (byte) prevent;
    assertEquals(0, initiator.execute(cdb).scsiStatus());
  }

  private static Pdu startStop(RawInitiator initiator, int bits) throws IOException {
    byte[] cdb = new byte[16];
    cdb[0] = 0x1b;
    cdb[4] = (byte) bits;
    return initiator.execute(cdb);
  }

  private static int eject(RawInitiator initiator) throws IOException {
    return startStop(initiator, 0x02).sense();
  }

  private void assertNobodyPrevents(RawInitiator initiator) throws IOException {
    assertEquals(INVALID_FIELD_IN_CDB, eject(initiator));
  }

  @Test
  void removalIsPreventedForEveryNexusUntilItIsAllowed() throws IOException {
    assertNobodyPrevents(one);
    prevent(one, 1);
    assertEquals(REMOVAL_PREVENTED, eject(one));
    assertEquals(REMOVAL_PREVENTED, eject(two));
    prevent(one, 0);
    assertNobodyPrevents(one);
  }

  @Test
  void whatTwoPreventBothMustAllow() throws IOException {
    prevent(one, 1);
    prevent(two, 1);
    prevent(one, 0);
    assertEquals(REMOVAL_PREVENTED, eject(one));
    prevent(two, 0);
    assertNobodyPrevents(one);
  }

  @Test
  void preventionEndsWithALogout() throws Exception {
    prevent(one, 1);
    assertEquals(0x26, one.logout().opcode());
    String end = "end " + TestServer.INITIATOR + ": LOGOUT";
    assertEquals(end, recorder.skipTo(end));
    assertNobodyPrevents(two);
  }

  @Test
  void preventionEndsWithTheNexus() throws Exception {
    prevent(one, 1);
    one.close();
    String end = "end " + TestServer.INITIATOR + ": CONNECTION_LOST";
    assertEquals(end, recorder.skipTo(end));
    assertNobodyPrevents(two);
  }

  @Test
  void preventionEndsWithAResetOfTheUnit() throws IOException {
    prevent(one, 1);
    assertEquals(0, two.taskManagement(5, -1).header().get(2));
    two.ready();
    assertNobodyPrevents(two);
  }

  @Test
  void preventionEndsWithAWarmResetOfTheTarget() throws IOException {
    prevent(one, 1);
    assertEquals(0, two.taskManagement(6, -1).header().get(2));
    assertEquals(0x62903, two.execute(new byte[16]).sense());
    assertEquals(0x62903, one.execute(new byte[16]).sense());
    assertNobodyPrevents(two);
  }

  @Test
  void aColdResetOfTheTargetEndsEverySessionAndPrevention() throws IOException {
    prevent(one, 1);
    assertEquals(0, two.taskManagement(7, -1).header().get(2));
    assertTrue(one.isCutOff());
    assertTrue(two.isCutOff());
    try (RawInitiator again = logInAnew(2)) {
      assertNobodyPrevents(again);
    }
  }

  @Test
  void stoppingMakesDataDurableAndKeepsTheUnitReady() throws IOException {
    assertEquals(0, startStop(one, 0x01).scsiStatus(), "started, as it is");
    assertEquals(0, startStop(one, 0x00).scsiStatus(), "stopped");
    assertEquals(0, one.execute(new byte[16]).scsiStatus(), "and ready");
    unit.fail(FaultyUnit.Fault.FLUSH_ERROR);
    assertEquals(0, startStop(one, 0x01).scsiStatus(), "nothing to make durable");
    assertEquals(0x02, startStop(one, 0x00).scsiStatus(), "never good when it is not durable");
    assertEquals(0x02, startStop(one, 0x30).scsiStatus(), "standby is told of as well");
    assertEquals(INVALID_FIELD_IN_CDB, startStop(one, 0x03).sense(), "nothing to load");
    unit.fail(FaultyUnit.Fault.NONE);
  }
}
