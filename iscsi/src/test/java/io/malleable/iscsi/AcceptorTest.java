package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.EOFException;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.System.Logger.Level;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** A portal goes on whatever happens to one connection, and while descriptors are short. */
class AcceptorTest {
  private final AtomicInteger attempts = new AtomicInteger();
  private final BlockingQueue<SocketChannel> taken = new LinkedBlockingQueue<>();

  private void failThrice(SocketChannel channel, Portal portal) throws IOException {
    switch (attempts.incrementAndGet()) {
      case 1 -> throw new IOException("Too many open files");
      case 2 -> throw new IllegalStateException("a fault");
      case 3 -> throw new NoClassDefFoundError("as when a class file cannot be opened");
      default -> taken.add(channel);
    }
  }

  @Test
  void neitherAFailureNorAFaultEndsIt() throws Exception {
    InetSocketAddress any = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
    try (Acceptor acceptor = new Acceptor(new Portal(any, 1), this::failThrice)) {
      acceptor.start();
      for (int i = 1; i <= 4; i++) {
        try (Socket socket = new Socket(any.getAddress(), acceptor.portal().address().getPort())) {
          socket.setSoTimeout(120_000);
          if (i < 4) {
            assertEquals(-1, socket.getInputStream().read(), "closed, not left alone");
          } else {
            SocketChannel channel = taken.poll(120, TimeUnit.SECONDS);
            assertTrue(channel != null && channel.isOpen());
            channel.close();
          }
        }
      }
    }
  }

  /** A server in a process of its own, which uses up its descriptors when it is told to. */
  static final class Server {
    private Server() {}

    public static void main(String[] args) throws IOException {
      InetSocketAddress any = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
      IscsiServer server =
          new IscsiServer(
              IscsiServerConfig.of(List.of(new Portal(any, 1))),
              ReservationStore.none(),
              new TargetListener() {});
      server.define(
          new TargetDefinition(
              TestServer.TARGET, Map.of(0, new MemoryUnit(1 << 20)), Access.open()));
      System.out.println(server.open().getFirst().address().getPort());
      // What logging reads when it is used first must be here before descriptors are short.
      System.getLogger("test").log(Level.WARNING, "begins", new IOException("of the test"));
      List<InputStream> hoard = new ArrayList<>();
      while (System.in.read() == 'h') {
        boolean more = true;
        while (more) {
          try {
            hoard.add(new FileInputStream("/dev/null"));
          } catch (IOException e) {
            more = false;
          }
        }
        System.out.println("none left");
        if (System.in.read() != 'f') {
          break;
        }
        for (InputStream each : hoard) {
          each.close();
        }
        hoard.clear();
        System.out.println("free");
      }
      server.close();
    }
  }

  @Test
  void itOutlivesAProcessWithoutDescriptors() throws Exception {
    Path java = Path.of(System.getProperty("java.home"), "bin", "java");
    Process process =
        new ProcessBuilder(
                "sh",
                "-c",
                "ulimit -n 200; exec \"$0\" \"$@\"",
                java.toString(),
                "-cp",
                System.getProperty("java.class.path"),
                Server.class.getName())
            .start();
    try (BufferedReader out = process.inputReader(StandardCharsets.UTF_8)) {
      int port = Integer.parseInt(out.readLine());
      InetSocketAddress address = new InetSocketAddress(InetAddress.getLoopbackAddress(), port);
      int starved = 0;
      while (starved < 2) {
        try (RawInitiator before = new RawInitiator(address)) {
          assertEquals(0, before.login(TestServer.INITIATOR).loginStatus());
          process.outputWriter().append('h').flush();
          assertEquals("none left", out.readLine());
          boolean answered;
          try (RawInitiator waiting = new RawInitiator(address)) {
            login(waiting);
            starved += isFailureSaidBefore(waiting, process) ? 1 : 0;
            process.outputWriter().append('f').flush();
            assertEquals("free", out.readLine());
            assertEquals(0, waiting.receive().loginStatus());
            answered = true;
          } catch (EOFException e) {
            // It was taken with the very last descriptor, and closed for want of another.
            answered = false;
          }
          if (!answered) {
            try (RawInitiator again = new RawInitiator(address)) {
              login(again);
              assertEquals(0, again.receive().loginStatus());
            }
          }
        }
      }
      process.outputWriter().append('q').flush();
      assertTrue(process.waitFor(120, TimeUnit.SECONDS));
    } finally {
      process.destroyForcibly();
    }
  }

  private static void login(RawInitiator initiator) throws IOException {
    initiator.isid++;
    initiator.sendLogin(
        0x87,
        RawInitiator.text(
            Map.of("InitiatorName", TestServer.INITIATOR, "TargetName", TestServer.TARGET)));
  }

  /**
   * Whether the server says that it could not take a connection. It answers instead when an earlier
   * connection was gone only after all descriptors had been used up: then there was one left.
   */
  private static boolean isFailureSaidBefore(RawInitiator answered, Process process)
      throws IOException {
    BufferedReader errors = process.errorReader(StandardCharsets.UTF_8);
    while (true) {
      if (errors.ready()) {
        String line = errors.readLine();
        assertTrue(line != null, "the server ended");
        if (line.contains("could not take a connection")) {
          return true;
        }
      } else if (answered.isAnswered()) {
        return false;
      } else {
        assertTrue(process.isAlive(), "the server ended");
        Thread.onSpinWait();
      }
    }
  }
}
