package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.control.AfterHostCrash;
import io.malleable.control.Firmware;
import io.malleable.control.MacAddress;
import io.malleable.control.NodeSpec;
import io.malleable.control.Project;
import io.malleable.netboot.BootListener;
import io.malleable.netboot.DhcpConfig;
import io.malleable.netboot.DhcpSubnet;
import io.malleable.netboot.Ipv4;
import io.malleable.netboot.SegmentServices;
import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** DHCP out of the database, over real sockets: what a node more costs. */
class DhcpSpeedTest {
  private static final int NODES = 10_000;
  private static final int FEW = 500;
  private static final double MAX_RATIO = 3;
  private static final int XID_OFFSET = 4;

  @TempDir Path directory;

  /**
   * Exchanges with both servers are mixed, so that both meet the same noise. The time is printed,
   * the promise being p99 below 5 ms; judged is that it does not grow with the nodes.
   */
  @Test
  void anAnswerTakesNoLongerWithTenThousandNodes() throws Exception {
    try (Side few = new Side(directory.resolve("few"), FEW);
        Side many = new Side(directory.resolve("many"), NODES)) {
      List<Long> fewNanos = new ArrayList<>();
      List<Long> manyNanos = new ArrayList<>();
      // No machine asks twice: the guard against storms would silence it.
      for (int i = 0; i < NODES; i++) {
        manyNanos.add(many.exchange(i));
        if (i % (NODES / FEW) == 0) {
          fewNanos.add(few.exchange(i / (NODES / FEW)));
        }
      }
      fewNanos.sort(null);
      manyNanos.sort(null);
      System.out.printf(
          "DHCP round trip, ms: %d nodes median %.3f p99 %.3f; %d nodes median %.3f p99 %.3f%n",
          FEW,
          fewNanos.get(FEW / 2) / 1e6,
          fewNanos.get(FEW * 99 / 100) / 1e6,
          NODES,
          manyNanos.get(NODES / 2) / 1e6,
          manyNanos.get(NODES * 99 / 100) / 1e6);
      double ratio = (double) manyNanos.get(NODES / 2) / fewNanos.get(FEW / 2);
      assertTrue(ratio < MAX_RATIO, "median of many nodes to that of few: " + ratio);
    }
  }

  /** A server with nodes, and its only client. */
  private static final class Side implements AutoCloseable {
    private final TestServer server;
    private final DatagramSocket client = new DatagramSocket();
    private final int port;
    private final SegmentServices segment;

    Side(Path data, int nodes) throws Exception {
      server = TestServer.start(data);
      UUID project =
          UUID.fromString(
              server.api().get("/v1/projects/" + Project.DEFAULT).body().path("id").asText());
      for (int i = 0; i < nodes; i++) {
        server
            .nodes()
            .add(
                project,
                new NodeSpec(
                    "n" + i,
                    List.of(new MacAddress(mac(i))),
                    Firmware.BIOS,
                    "x86_64",
                    Optional.empty(),
                    Optional.empty(),
                    List.of(),
                    AfterHostCrash.REBOOT));
      }
      client.setSoTimeout(60_000);
      port = freePort();
      DhcpConfig config =
          DhcpConfig.server(
                  "lo",
                  Ipv4.read("127.0.0.1"),
                  List.of(DhcpSubnet.read("127.0.0.0/8,pool=127.1.0.1-127.1.200.254")),
                  8081)
              .withPorts(new DhcpConfig.Ports(port, client.getLocalPort(), freePort()));
      segment =
          SegmentServices.start(
              config,
              new NodesOfDhcp(server.nodes()),
              new BootListener() {},
              InstantSource.system(),
              data.resolve("test-leases"));
    }

    /** A machine that has an address asks for it again; the answer comes to that address. */
    long exchange(int node) throws IOException {
      byte[] request = renewal(node);
      long start = System.nanoTime();
      client.send(
          new DatagramPacket(request, request.length, InetAddress.getLoopbackAddress(), port));
      DatagramPacket reply = new DatagramPacket(new byte[1500], 1500);
      client.receive(reply);
      long nanos = System.nanoTime() - start;
      ByteBuffer answer = ByteBuffer.wrap(reply.getData(), 0, reply.getLength());
      assertEquals(node, answer.getInt(XID_OFFSET));
      assertEquals((byte) 5, answer.get(242), "DHCPACK");
      return nanos;
    }

    @Override
    public void close() throws IOException {
      segment.close();
      client.close();
      server.close();
    }
  }

  private static String mac(int node) {
    return String.format("52:54:0d:00:%02x:%02x", node >> 8, node & 0xff);
  }

  /** DHCPREQUEST of a client that renews (RFC 2131 4.3.2): its address in ciaddr. */
  private static byte[] renewal(int node) {
    ByteBuffer packet = ByteBuffer.allocate(300);
    packet.put((byte) 1).put((byte) 1).put((byte) 6).put((byte) 0); // op, htype, hlen, hops
    packet.putInt(node); // xid
    packet.putInt(0); // secs, flags
    packet.putInt(0x7f010000 + 1 + node); // ciaddr: 127.1.0.1 and following
    packet.position(28);
    packet.put(new byte[] {0x52, 0x54, 0x0d, 0, (byte) (node >> 8), (byte) node}); // chaddr
    packet.position(236);
    packet.putInt(0x63825363); // magic cookie
    packet.put(new byte[] {53, 1, 3, (byte) 255}); // message type REQUEST, end
    return packet.array();
  }

  private static int freePort() throws IOException {
    try (DatagramSocket probe = new DatagramSocket()) {
      return probe.getLocalPort();
    }
  }
}
