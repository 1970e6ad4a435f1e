package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What one initiator does is told to the others, once, and not to itself (SPC-4 5.13, 6.9). */
class UnitAttentionTest {
  private static final byte[] TEST_UNIT_READY = new byte[16];
  private static final long KEY = 0x1111;
  private static final long OTHER_KEY = 0x2222;

  private static final int REGISTER = 0;
  private static final int RESERVE = 1;
  private static final int RELEASE = 2;
  private static final int CLEAR = 3;
  private static final int PREEMPT = 4;

  private static final int WRITE_EXCLUSIVE_REGISTRANTS_ONLY = 5;

  private TestServer server;
  private RawInitiator acting;
  private RawInitiator other;

  @BeforeEach
  void twoAreLoggedIn() throws IOException {
    server = TestServer.serving(new MemoryUnit(1 << 20));
    acting = RawInitiator.loggedIn(server).ready();
    other = new RawInitiator(server.address());
    other.isid++;
    other.login(TestServer.INITIATOR);
    other.ready();
  }

  @AfterEach
  void close() throws IOException {
    acting.close();
    other.close();
    server.close();
  }

  private void assertToldOnceToTheOther(int sense) throws IOException {
    assertEquals(sense, other.execute(TEST_UNIT_READY).sense());
    assertEquals(0, other.execute(TEST_UNIT_READY).scsiStatus());
    assertEquals(0, acting.execute(TEST_UNIT_READY).scsiStatus());
  }

  private static void reserveOut(RawInitiator who, int action, int type, long key, long newKey)
      throws IOException {
    assertEquals(0, SessionTest.reserveOut(who, action, type, key, newKey, 0).scsiStatus());
  }

  private void bothRegister() throws IOException {
    reserveOut(acting, REGISTER, 0, 0, KEY);
    reserveOut(other, REGISTER, 0, 0, OTHER_KEY);
  }

  @Test
  void changedModeParametersAreTold() throws IOException {
    byte[] select = new byte[16];
    select[0] = 0x15;
    select[1] = 0x10;
    select[4] = 16;
    byte[] list = new byte[16];
    list[4] = 0x0a;
    list[5] = 0x0a;
    list[7] = 0x10; // queue algorithm modifier, as it is
    acting.send(acting.command(0xa0, 16, select), list.clone());
    assertEquals(0, acting.receive().scsiStatus());
    assertEquals(0, other.execute(TEST_UNIT_READY).scsiStatus(), "nothing has changed");
    list[8] = 0x08; // software write protect
    acting.send(acting.command(0xa0, 16, select), list);
    assertEquals(0, acting.receive().scsiStatus());
    assertToldOnceToTheOther(0x62a01);
    assertEquals(0x72700, other.write(0, new byte[512], 512).sense(), "write protected");
  }

  @Test
  void aReservationOfAllRegistrantsThatEndsIsTold() throws IOException {
    bothRegister();
    reserveOut(acting, RESERVE, WRITE_EXCLUSIVE_REGISTRANTS_ONLY, KEY, 0);
    reserveOut(acting, RELEASE, WRITE_EXCLUSIVE_REGISTRANTS_ONLY, KEY, 0);
    assertToldOnceToTheOther(0x62a04);
  }

  @Test
  void clearedReservationsAreTold() throws IOException {
    bothRegister();
    reserveOut(acting, CLEAR, 0, KEY, 0);
    assertToldOnceToTheOther(0x62a03);
  }

  @Test
  void aRegistrationThatIsPreemptedIsTold() throws IOException {
    bothRegister();
    reserveOut(acting, RESERVE, WRITE_EXCLUSIVE_REGISTRANTS_ONLY, KEY, 0);
    reserveOut(acting, PREEMPT, WRITE_EXCLUSIVE_REGISTRANTS_ONLY, KEY, OTHER_KEY);
    assertToldOnceToTheOther(0x62a05);
    assertEquals(0x18, other.write(0, new byte[512], 512).scsiStatus(), "no longer registered");
  }
}
