package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.malleable.netboot.Portal;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A server with an address in each of several storage networks. */
final class PortalsTest {
  private static final String MACHINE = "iqn.2026-11.test:machine";

  @TempDir private Path directory;

  @Test
  void targetsAreFoundAndUsedByEachAddressAndShareTheirConnections() throws Exception {
    Map<Setting, String> both = Map.of(Setting.ISCSI, "127.0.0.1:0,127.0.0.2:0");
    try (TestServer server = TestServer.start(directory.resolve("data"), both)) {
      TestApi api = server.api();
      Path file = TestServer.image(directory.resolve("base.raw"), 1);
      api.succeeded(
          api.post(
              "/v1/images", "{'name':'base','format':'raw','source':{'path':'" + file + "'}}"));
      api.post("/v1/disks", "{'name':'d','image':'base'}").expect(201);
      JsonNode disk = api.post("/v1/disks/d/expose", "").expect(200).body().path("iscsi");
      List<HostPort> portals = server.addresses().portals();
      assertEquals(2, portals.size());
      assertEquals(
          Addresses.joined(portals),
          api.get("/v1/system").body().path("addresses").path("iscsi").asText());
      for (int i = 0; i < 2; i++) {
        // Only the one that the initiator has reached: it may have no way to the other.
        String found = Programs.run(List.of("iscsi-ls", "iscsi://" + portals.get(i)));
        assertTrue(found.contains("Portal:" + portals.get(i) + "," + (i + 1)), found);
        assertFalse(found.contains(portals.get(1 - i).toString()), found);
      }
      try (Initiator one = Initiator.login(at(disk, portals.get(0)), MACHINE);
          Initiator other = Initiator.login(at(disk, portals.get(1)), MACHINE)) {
        // Two paths of one machine with one ISID: neither takes the place of the other.
        byte[] block = new byte[512];
        block[7] = 7;
        assertEquals(Initiator.GOOD, one.execute(Cdb.write(3, 1), block, 0).status());
        assertArrayEquals(block, other.execute(Cdb.read(3, 1), new byte[0], 512).data());
        assertEquals(Initiator.GOOD, one.execute(Cdb.write(4, 1), block, 0).status());
        for (JsonNode listener : api.get("/v1/system").body().path("listeners")) {
          if (listener.path("name").asText().equals("iscsi")) {
            assertEquals(2, listener.path("connections").asInt(), listener::toString);
          }
        }
      }
    }
  }

  private static InetSocketAddress at(String address, int port) {
    return new InetSocketAddress(InetAddress.ofLiteral(address), port);
  }

  private static JsonNode at(JsonNode iscsi, HostPort portal) {
    return ((ObjectNode) iscsi.deepCopy()).put("portal", portal.toString());
  }

  @Test
  void flagsAreGivenOnceForEachAddressAndTheRunFileNamesThem() throws Exception {
    try (ServeProcess server =
        ServeProcess.start(
            directory.resolve("data"),
            Map.of(),
            "--iscsi",
            "127.0.0.1:0",
            "--iscsi",
            "127.0.0.2:0")) {
      String iscsi = server.run().path("iscsi").asText();
      assertTrue(iscsi.matches("127\\.0\\.0\\.1:[0-9]+,127\\.0\\.0\\.2:[0-9]+"), iscsi);
      assertEquals(0, server.stop());
    }
  }

  @Test
  void anAddressThatIsTakenKeepsTheServerFromStartingAndIsNamed() throws Exception {
    try (ServerSocket other = new ServerSocket(0, 1, InetAddress.ofLiteral("127.0.0.2"))) {
      String taken = "127.0.0.2:" + other.getLocalPort();
      Map<Setting, String> both = Map.of(Setting.ISCSI, "127.0.0.1:0," + taken);
      StartException e =
          assertThrows(
              StartException.class, () -> TestServer.start(directory.resolve("data"), both));
      String message = String.valueOf(e.getMessage());
      assertTrue(message.startsWith("--iscsi: cannot listen on " + taken + ": "), message);
    }
  }

  @Test
  void aMachineIsToldThePortalInItsNetworkAndTheFirstWhereThereIsNone() throws Exception {
    InetSocketAddress first = at("10.1.0.1", 3260);
    InetSocketAddress second = at("10.2.128.1", 3261);
    InetSocketAddress third = at("2001:db8:0:3::1", 3262);
    Map<InetAddress, Integer> bits =
        Map.of(first.getAddress(), 24, second.getAddress(), 17, third.getAddress(), 64);
    MachinePortals portals =
        MachinePortals.of(
            List.of(first, second, third), own -> OptionalInt.of(bits.getOrDefault(own, 0)));
    Map<String, InetSocketAddress> wanted =
        Map.of(
            "10.1.0.77", first,
            "10.2.128.77", second,
            "10.2.255.255", second,
            "10.2.127.255", first,
            "192.0.2.1", first,
            "2001:db8:0:3:4::5", third,
            "2001:db8:0:4::5", first);
    wanted.forEach((machine, portal) ->
        assertEquals(
            new Portal(Optional.of(portal.getAddress()), portal.getPort()),
            portals.of(InetAddress.ofLiteral(machine)),
            machine));
  }

  @Test
  void networksAreThoseOfTheInterfaces() throws Exception {
    MachinePortals portals = MachinePortals.of(List.of(at("192.0.2.1", 1), at("127.0.0.1", 2)));
    assertEquals(Portal.sameHost(2), portals.of(InetAddress.ofLiteral("127.0.0.9")));
    assertEquals(1, portals.of(InetAddress.ofLiteral("198.51.100.1")).port());
    MachinePortals everywhere = MachinePortals.of(List.of(at("0.0.0.0", 3)));
    assertEquals(Portal.sameHost(3), everywhere.of(InetAddress.ofLiteral("198.51.100.1")));
  }

  @Test
  void aClientIsToldThePortalWhereItFoundTheApi() {
    HostPort one = new HostPort("10.1.0.1", 3260);
    HostPort other = new HostPort("10.2.0.1", 3261);
    ReachablePortal portals = new ReachablePortal(Optional.empty(), List.of(one, other));
    assertEquals("10.2.0.1:3261", portals.reachedFrom("10.2.0.1"));
    assertEquals("10.1.0.1:3260", portals.reachedFrom("127.0.0.1"));
    assertEquals(
        "m2.example:3260",
        new ReachablePortal(Optional.of("m2.example"), List.of(one, other)).reachedFrom("h"));
    assertEquals(
        "[::1]:3260",
        new ReachablePortal(Optional.empty(), List.of(new HostPort("::", 3260)))
            .reachedFrom("[::1]"));
  }
}
