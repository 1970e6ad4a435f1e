package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Interop with the programs of libiscsi. */
class LibiscsiTest {
  private static final String PACKAGE = "libiscsi-bin";
  private static final ChapCredentials SECRET =
      new ChapCredentials("node", "correct-horse-battery");

  @TempDir Path scratch;

  private Programs.Result run(String... command) throws Exception {
    return Programs.run(PACKAGE, scratch, 60, List.of(command));
  }

  @Test
  void discoveryListsTheTargetAtThePortalThatIsAskedAndTheSizeOfItsDrive() throws Exception {
    try (TestServer server = TestServer.serving(new MemoryUnit(64L << 20))) {
      for (int portal = 0; portal < 2; portal++) {
        Programs.Result result = run("iscsi-ls", "-s", server.portalUrl(portal));
        assertEquals(0, result.exitCode(), result.output());
        assertTrue(result.output().contains("Target:" + TestServer.TARGET), result.output());
        assertTrue(result.output().contains("," + (portal + 1)), result.output());
        assertFalse(result.output().contains("," + (2 - portal)), result.output());
        assertTrue(result.output().contains("DIRECT_ACCESS (Size:63M)"), result.output());
      }
    }
  }

  @Test
  void inquiryTellsWhoTheDriveIs() throws Exception {
    UUID id = UUID.randomUUID();
    try (TestServer server = TestServer.serving(new MemoryUnit(id, 64L << 20, 512))) {
      assertTrue(run("iscsi-inq", server.url()).output().contains("Product:MEMORY"));
      Programs.Result serial = run("iscsi-inq", "-e", "1", "-c", "128", server.url());
      assertTrue(serial.output().contains(id.toString()), serial.output());
    }
  }

  @Test
  void readCapacityTellsAThinDriveOf4096ByteBlocks() throws Exception {
    try (TestServer server =
        TestServer.serving(new MemoryUnit(UUID.randomUUID(), 8L << 40, 4096))) {
      Programs.Result result = run("iscsi-readcapacity16", server.url());
      assertTrue(result.output().contains("LENGTH IN BYTES:4096"), result.output());
      assertTrue(result.output().contains("LBPME:1 LBPRZ:1"), result.output());
      assertTrue(result.output().contains("Total size:" + (8L << 40)), result.output());
    }
  }

  @Test
  void chapLetsTheRightSecretInAndNoOther() throws Exception {
    Access access = Access.of(TestServer.INITIATOR, SECRET);
    try (TestServer server = TestServer.serving(new MemoryUnit(1 << 20), access)) {
      Programs.Result right =
          run(
              "iscsi-inq",
              "-i",
              TestServer.INITIATOR,
              server.url(0, "node%" + SECRET.secret() + "@"));
      assertEquals(0, right.exitCode(), right.output());
      assertTrue(right.output().contains("Product:MEMORY"), right.output());
      Programs.Result wrong =
          run("iscsi-inq", "-i", TestServer.INITIATOR, server.url(0, "node%wrong-secret-12@"));
      assertNotEquals(0, wrong.exitCode(), wrong.output());
      assertFalse(wrong.output().contains("Product"), wrong.output());
      Programs.Result none = run("iscsi-inq", "-i", TestServer.INITIATOR, server.url());
      assertNotEquals(0, none.exitCode(), none.output());
      assertEquals(2, server.server().counters().authenticationFailures());
    }
  }

  @Test
  void anInitiatorOfAnotherNameNeitherSeesNorGetsTheDrive() throws Exception {
    Access access = new Access(Set.of(TestServer.INITIATOR), Optional.empty(), Optional.empty());
    try (TestServer server = TestServer.serving(new MemoryUnit(1 << 20), access)) {
      Programs.Result other =
          run("iscsi-inq", "-i", "iqn.2026-11.io.malleable.node:b", server.url());
      assertNotEquals(0, other.exitCode(), other.output());
      Programs.Result seen =
          run("iscsi-ls", "-i", "iqn.2026-11.io.malleable.node:b", server.portalUrl());
      assertFalse(seen.output().contains(TestServer.TARGET), seen.output());
      Programs.Result own = run("iscsi-ls", "-i", TestServer.INITIATOR, server.portalUrl());
      assertTrue(own.output().contains(TestServer.TARGET), own.output());
    }
  }
}
