package io.malleable.netboot;

import java.io.IOException;
import java.lang.System.Logger.Level;
import java.net.NetworkInterface;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * DHCP or ProxyDHCP on one interface. One platform thread for each port reads, decides and answers;
 * the kernel's socket buffer is the only queue. A datagram that makes no sense is counted and
 * skipped; a socket that fails is tried again, since an interface may go and come back.
 *
 * <p>Needs the right to open ports below 1024 (root or CAP_NET_BIND_SERVICE).
 */
public final class DhcpServer implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(DhcpServer.class.getName());

  /** Room for a few thousand messages: a rack that comes back after a power cut. */
  private static final int RECEIVE_BUFFER_BYTES = 4 << 20;

  private static final Duration PROBE_INTERVAL = Duration.ofMinutes(15);
  private static final Duration RETRY_PAUSE = Duration.ofSeconds(1);

  private final DhcpConfig config;
  private final DhcpEngine engine;
  private final LeaseJournal journal;
  private final List<LinuxSocket> sockets = new ArrayList<>();
  private final List<Thread> threads = new ArrayList<>();
  private final Object stopping = new Object();
  private volatile boolean closed;

  private DhcpServer(DhcpConfig config, DhcpEngine engine, LeaseJournal journal) {
    this.config = config;
    this.engine = engine;
    this.journal = journal;
  }

  /**
   * Serves until {@link #close()}.
   *
   * @param leaseFile created when it is not there
   * @throws IOException when the interface, the ports or the lease file cannot be used; names the
   *     cause
   */
  public static DhcpServer start(
      DhcpConfig config,
      DhcpDirectory directory,
      BootListener listener,
      InstantSource clock,
      Path leaseFile)
      throws IOException {
    LeaseJournal journal = LeaseJournal.open(leaseFile);
    DhcpServer server =
        new DhcpServer(
            config,
            new DhcpEngine(
                config, directory, new LeaseTable(config.subnets(), journal), listener, clock),
            journal);
    try {
      LinuxSocket main = server.open(config.ports().server());
      LinuxSocket proxy = server.open(config.ports().proxy());
      server.run("dhcp-server", () -> server.serve(main, server::onServerPort));
      server.run("dhcp-proxy", () -> server.serve(proxy, server::onProxyPort));
      server.run("dhcp-probe", () -> server.probeUntilClosed(main));
    } catch (IOException | RuntimeException e) {
      server.close();
      throw e;
    }
    return server;
  }

  public DhcpCounters counters() {
    return engine.counters();
  }

  /** Stops answering; leases stay valid and are on disk. */
  @Override
  public void close() throws IOException {
    closed = true;
    synchronized (stopping) {
      stopping.notifyAll();
    }
    try {
      for (Thread thread : threads) {
        thread.join();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while the DHCP server stopped", e);
    }
    try (journal) {
      for (LinuxSocket socket : sockets) {
        socket.close();
      }
    }
  }

  private LinuxSocket open(int port) throws IOException {
    LinuxSocket socket =
        LinuxSocket.open(LinuxSocket.AF_INET, LinuxSocket.SOCK_DGRAM, 0, config.interfaceName());
    sockets.add(socket);
    // Another DHCP server may run on this host for other interfaces.
    socket.setOption(LinuxSocket.SOL_SOCKET, LinuxSocket.SO_REUSEADDR, 1);
    socket.setOption(LinuxSocket.SOL_SOCKET, LinuxSocket.SO_BROADCAST, 1);
    socket.setOption(LinuxSocket.SOL_SOCKET, LinuxSocket.SO_RCVBUF, RECEIVE_BUFFER_BYTES);
    socket.bindIpv4(port);
    return socket;
  }

  private void run(String name, Runnable task) {
    threads.add(Thread.ofPlatform().name(name).daemon().start(task));
  }

  /** Answers one datagram. */
  private interface Answering {
    void answer(LinuxSocket socket, DhcpPacket request, byte[] source) throws IOException;
  }

  private void serve(LinuxSocket socket, Answering answering) {
    ByteBuffer datagram = ByteBuffer.allocate(DhcpCodec.MAX_DATAGRAM_BYTES + 1);
    byte[] source = new byte[LinuxSocket.MAX_ADDRESS_BYTES];
    while (!closed) {
      try {
        OptionalInt length = socket.receive(datagram, source);
        if (length.isPresent()) {
          answering.answer(socket, DhcpCodec.decode(datagram), source);
        }
      } catch (DhcpFormatException malformed) {
        engine.onMalformed();
        LOG.log(Level.DEBUG, "not a DHCP message: {0}", malformed.getMessage());
      } catch (IOException e) {
        LOG.log(Level.WARNING, "DHCP on {0}: {1}", config.interfaceName(), e.getMessage());
        pause(RETRY_PAUSE);
      } catch (RuntimeException bug) {
        LOG.log(Level.ERROR, "a DHCP message could not be answered", bug);
      }
    }
  }

  private void onServerPort(LinuxSocket socket, DhcpPacket request, byte[] source)
      throws IOException {
    Optional<DhcpReply> reply = engine.onServerPort(request);
    if (reply.isPresent()) {
      DhcpReply r = reply.get();
      socket.send(DhcpCodec.encode(r.packet()), LinuxSocket.addressIpv4(r.destination(), r.port()));
    }
  }

  private void onProxyPort(LinuxSocket socket, DhcpPacket request, byte[] source)
      throws IOException {
    Optional<DhcpPacket> reply = engine.onProxyPort(request);
    if (reply.isPresent()) {
      byte[] client = java.util.Arrays.copyOf(source, 16); // sockaddr_in
      socket.send(DhcpCodec.encode(reply.get()), client);
    }
  }

  /** Asks now and then whether another server answers on the segment. */
  private void probeUntilClosed(LinuxSocket socket) {
    while (!closed) {
      try {
        NetworkInterface card = NetworkInterface.getByName(config.interfaceName());
        byte[] mac = card == null ? null : card.getHardwareAddress();
        if (mac != null && mac.length == 6) {
          socket.send(
              DhcpCodec.encode(engine.probe(MacAddress.of(mac))),
              LinuxSocket.addressIpv4(Ipv4.BROADCAST, config.ports().server()));
        }
      } catch (IOException e) {
        LOG.log(Level.WARNING, "cannot look for other DHCP servers: {0}", e.getMessage());
      }
      pause(PROBE_INTERVAL);
    }
  }

  /** Waits, but not for longer than until the server is closed. */
  private void pause(Duration duration) {
    long end = System.nanoTime() + duration.toNanos();
    synchronized (stopping) {
      for (long left = duration.toNanos(); !closed && left > 0; left = end - System.nanoTime()) {
        try {
          stopping.wait(left / 1_000_000 + 1);
        } catch (InterruptedException e) {
          LOG.log(Level.WARNING, "a thread of the DHCP server does not listen to interrupts");
        }
      }
    }
  }
}
