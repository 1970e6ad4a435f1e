package io.malleable.netboot;

import static io.malleable.netboot.DhcpMessages.message;
import static io.malleable.netboot.DhcpMessages.pxe;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The server with its sockets on the loopback interface and free ports, so without privileges. The
 * clients renew: that is the exchange whose answer is unicast.
 */
class DhcpServerTest {
  private static final int NODES = 10_000;

  @TempDir Path directory;

  private final DatagramSocket client = open();
  private final DhcpRig rig = new DhcpRig();
  private DhcpConfig config;
  private DhcpServer server;

  private static DatagramSocket open() {
    try {
      return new DatagramSocket();
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  private static int freePort() throws IOException {
    try (DatagramSocket probe = new DatagramSocket()) {
      return probe.getLocalPort();
    }
  }

  private static Ipv4 addressOf(int node) {
    return new Ipv4(0x7f010000 + node + 1); // 127.1.0.1 and following
  }

  @BeforeEach
  void start() throws IOException {
    client.setSoTimeout(30_000);
    for (int i = 0; i < NODES; i++) {
      rig.host(i, addressOf(i).toString());
    }
    config =
        DhcpConfig.server(
                "lo",
                DhcpRig.address("127.0.0.1"),
                List.of(DhcpSubnet.parse("127.0.0.0/8").orElseThrow()),
                8081)
            .withPorts(new DhcpConfig.Ports(freePort(), client.getLocalPort(), freePort()));
    server =
        DhcpServer.start(
            config,
            rig,
            new BootListener() {},
            InstantSource.system(),
            directory.resolve("leases"));
  }

  @AfterEach
  void stop() throws IOException {
    server.close();
    client.close();
  }

  private void send(byte[] octets, int port) throws IOException {
    client.send(new DatagramPacket(octets, octets.length, InetAddress.getLoopbackAddress(), port));
  }

  private DhcpPacket receive() throws Exception {
    DatagramPacket reply = new DatagramPacket(new byte[2000], 2000);
    client.receive(reply);
    return DhcpCodec.decode(ByteBuffer.wrap(reply.getData(), 0, reply.getLength()));
  }

  private static byte[] renewal(int node) {
    return DhcpCodec.encode(
        message(DhcpMessageType.REQUEST, DhcpRig.mac(node), addressOf(node), Ipv4.ANY, pxe(0)));
  }

  @Test
  void tenThousandNodesAreAnsweredOverRealSockets() throws Exception {
    List<Long> nanos = new ArrayList<>();
    for (int i = 0; i < NODES; i++) {
      byte[] request = renewal(i);
      long start = System.nanoTime();
      send(request, config.ports().server());
      DhcpPacket ack = receive();
      nanos.add(System.nanoTime() - start);
      assertEquals(Optional.of(DhcpMessageType.ACK), ack.type());
      assertEquals(addressOf(i), ack.yiaddr());
    }
    nanos.sort(null);
    System.out.printf(
        "round trip over UDP with %d nodes: median %.0f us, p99 %.0f us%n",
        NODES, nanos.get(NODES / 2) / 1e3, nanos.get(NODES * 99 / 100) / 1e3);
    assertEquals(NODES, server.counters().answered());
  }

  @Test
  void stormOfJunkIsCountedAndOthersAreServed() throws Exception {
    Random random = new Random(7);
    byte[] whole = renewal(1);
    for (int i = 0; i < 20_000; i++) {
      byte[] junk = new byte[random.nextInt(1600)];
      random.nextBytes(junk);
      send(junk, i % 2 == 0 ? config.ports().server() : config.ports().proxy());
      if (i % 100 == 0) {
        byte[] damaged = whole.clone();
        damaged[random.nextInt(whole.length)] ^= (byte) (1 << random.nextInt(8));
        send(damaged, config.ports().proxy());
      }
    }
    Eventually.holds(
        "junk is counted", Duration.ofMinutes(1), () -> server.counters().malformed() > 0);
    send(renewal(2), config.ports().server());
    while (!receive().yiaddr().equals(addressOf(2))) {
      // Answers to damaged messages that were still good enough.
    }
    assertTrue(server.counters().malformed() > 0);
  }

  @Test
  void proxyPortAnswersWhereTheQuestionCameFrom() throws Exception {
    send(
        DhcpCodec.encode(message(DhcpMessageType.REQUEST, DhcpRig.mac(3), pxe(7))),
        config.ports().proxy());
    DhcpPacket ack = receive();
    assertEquals("ipxe.efi", ack.file());
    assertEquals(Ipv4.ANY, ack.yiaddr());
  }

  @Test
  void interfaceThatIsNotThereIsNamed() {
    IOException failure =
        assertThrows(
            IOException.class,
            () ->
                DhcpServer.start(
                    DhcpConfig.proxy("nosuch0", DhcpRig.SERVER, 8081),
                    rig,
                    new BootListener() {},
                    InstantSource.system(),
                    directory.resolve("other")));
    assertTrue(failure.toString().contains("nosuch0"), failure.toString());
  }
}
