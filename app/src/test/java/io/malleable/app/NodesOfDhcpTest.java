package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.netboot.DhcpDirectory;
import io.malleable.netboot.Ipv4;
import io.malleable.netboot.MacAddress;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class NodesOfDhcpTest {
  @Test
  void theNicThatBootsGetsTheNodesAddressAndNobodyElseDoes(@TempDir Path directory)
      throws Exception {
    try (TestServer server = TestServer.start(directory.resolve("data"))) {
      TestApi api = server.api();
      String nics = "'nics':[{'mac':'52:54:00:00:0d:01'},{'mac':'52:54:00:00:0d:02'}]";
      api.post("/v1/nodes", "{'name':'n1'," + nics + ",'address':'10.1.0.21'}").expect(201);
      DhcpDirectory dhcp = new NodesOfDhcp(server.nodes());
      assertEquals(Ipv4.parse("10.1.0.21"), host(dhcp, "52:54:00:00:0d:01").address());
      assertEquals(Optional.empty(), host(dhcp, "52:54:00:00:0d:02").address());
      assertEquals(Optional.of("n1"), host(dhcp, "52:54:00:00:0d:01").hostName());
      assertTrue(dhcp.find(mac("52:54:00:00:0d:03")).isEmpty(), "a stranger");
      assertTrue(dhcp.isReserved(Ipv4.read("10.1.0.21")));
      assertFalse(dhcp.isReserved(Ipv4.read("10.1.0.22")));

      api.post(
              "/v1/nodes",
              "{'name':'n2','nics':[{'mac':'52:54:00:00:0d:04'}],'address':'10.1.0.21'}")
          .expectProblem(409, "ADDRESS_TAKEN");
      assertEquals(
          "10.1.0.21",
          api.patch("/v1/nodes/n1", "{'firmware':'uefi'}").body().path("address").asText());
      // Counts at once: nothing is restarted and nothing is loaded.
      api.patch("/v1/nodes/n1", "{'address':null}").expect(200);
      assertEquals(Optional.empty(), host(dhcp, "52:54:00:00:0d:01").address());
      assertFalse(dhcp.isReserved(Ipv4.read("10.1.0.21")));
    }
  }

  private static DhcpDirectory.Host host(DhcpDirectory dhcp, String mac) {
    return dhcp.find(mac(mac)).orElseThrow();
  }

  private static MacAddress mac(String text) {
    return MacAddress.parse(text).orElseThrow();
  }
}
