package io.malleable.netboot;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;

/**
 * A UDP relay in front of a TFTP server that loses, doubles and swaps datagrams, by a seed. To the
 * client it looks like the server: each transfer gets a port of the relay's.
 */
final class LossyLink implements AutoCloseable {
  /** What suffers. */
  enum Spoil {
    EVERYTHING,
    /** For clients that cannot bear a lost acknowledgement themselves. */
    DATA_ONLY
  }

  private final InetSocketAddress server;
  private final Spoil spoil;
  private final DatagramSocket front = new DatagramSocket(0, InetAddress.getLoopbackAddress());
  private final Map<SocketAddress, Flow> flows = new ConcurrentHashMap<>();
  private final Random random;
  private final int lossPercent;

  LossyLink(InetSocketAddress server, Spoil spoil, int lossPercent, long seed) throws IOException {
    this.spoil = spoil;
    this.server = server;
    this.lossPercent = lossPercent;
    this.random = new Random(seed);
    Thread.ofVirtual()
        .start(() ->
            pump(
                front,
                packet ->
                    flows.computeIfAbsent(packet.getSocketAddress(), Flow::new).request(packet)));
  }

  int port() {
    return front.getLocalPort();
  }

  private synchronized int roll() {
    return random.nextInt(100);
  }

  private interface Sink {
    void take(DatagramPacket packet) throws IOException;
  }

  private static void pump(DatagramSocket from, Sink sink) {
    byte[] buffer = new byte[2048];
    DatagramPacket packet = new DatagramPacket(buffer, buffer.length);
    while (!from.isClosed()) {
      try {
        packet.setLength(buffer.length);
        from.receive(packet);
        sink.take(packet);
      } catch (IOException e) {
        if (!from.isClosed()) {
          throw new UncheckedIOException(e);
        }
      }
    }
  }

  @Override
  public void close() {
    front.close();
    flows.values().forEach(Flow::close);
  }

  /** One client's transfer: one socket towards the server, one towards the client. */
  private final class Flow {
    private final SocketAddress client;
    private final DatagramSocket towardsServer;
    private final DatagramSocket towardsClient;
    private volatile SocketAddress transfer = server;
    private byte[] held = {};

    Flow(SocketAddress client) {
      this.client = client;
      try {
        towardsServer = new DatagramSocket(0, InetAddress.getLoopbackAddress());
        towardsClient = new DatagramSocket(0, InetAddress.getLoopbackAddress());
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
      Thread.ofVirtual().start(() -> pump(towardsServer, this::reply));
      Thread.ofVirtual()
          .start(() -> pump(towardsClient, packet -> spoil(packet, towardsServer, transfer)));
    }

    void request(DatagramPacket packet) throws IOException {
      spoil(packet, towardsServer, server);
    }

    private void reply(DatagramPacket packet) throws IOException {
      transfer = packet.getSocketAddress();
      spoil(packet, towardsClient, client);
    }

    private void spoil(DatagramPacket packet, DatagramSocket by, SocketAddress to)
        throws IOException {
      byte[] octets = Arrays.copyOf(packet.getData(), packet.getLength());
      boolean spoiled = spoil == Spoil.EVERYTHING || octets[1] == TftpRequest.DATA;
      int roll = spoiled ? roll() : 100;
      if (roll < lossPercent) {
        return;
      }
      by.send(new DatagramPacket(octets, octets.length, to));
      if (roll < lossPercent + 5) {
        by.send(new DatagramPacket(octets, octets.length, to));
      } else if (roll < lossPercent + 10) {
        // An old datagram once more, long after its time.
        if (held.length > 0 && by.equals(towardsClient)) {
          by.send(new DatagramPacket(held, held.length, to));
        }
        held = by.equals(towardsClient) ? octets : held;
      }
    }

    void close() {
      towardsServer.close();
      towardsClient.close();
    }
  }
}
