package io.malleable.lab;

import io.malleable.hardware.ConsoleSession;
import io.malleable.hardware.NodeConsole;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.time.Duration;
import java.util.Arrays;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.LockSupport;

/**
 * The wire between a machine's serial port and its BMC: a port of 127.0.0.1 whose one client sees
 * what the machine writes from then on and types into it. What is typed while the machine is off is
 * lost, as on a real line.
 */
final class SerialLine implements AutoCloseable {
  private static final Logger LOG = System.getLogger(SerialLine.class.getName());
  private static final Duration LOOK = Duration.ofSeconds(1);

  private final NodeConsole machine;
  private final ServerSocket listener;
  private final Set<Socket> clients = ConcurrentHashMap.newKeySet();

  private SerialLine(NodeConsole machine) throws IOException {
    this.machine = machine;
    this.listener = new ServerSocket(0, 2, InetAddress.getLoopbackAddress());
  }

  static SerialLine of(NodeConsole machine) throws IOException {
    SerialLine line = new SerialLine(machine);
    Thread.ofVirtual().name("serial-line").start(line::serve);
    return line;
  }

  int port() {
    return listener.getLocalPort();
  }

  private void serve() {
    while (!listener.isClosed()) {
      try {
        Socket client = listener.accept();
        clients.add(client);
        Thread.ofVirtual().name("serial-output").start(() -> connected(client, this::output));
        Thread.ofVirtual().name("serial-input").start(() -> connected(client, this::input));
      } catch (IOException e) {
        if (!listener.isClosed()) {
          LOG.log(Level.WARNING, "the serial line of a machine cannot be reached", e);
          // Without a pause it would only fail again: this process has too many files open.
          LockSupport.parkNanos(LOOK.toNanos());
        }
      }
    }
  }

  private interface Direction {
    void carry(Socket client) throws IOException;
  }

  private void connected(Socket client, Direction direction) {
    try (client) {
      direction.carry(client);
    } catch (IOException e) {
      LOG.log(Level.DEBUG, () -> "a client left the serial line: " + e.getMessage());
    } finally {
      clients.remove(client);
    }
  }

  private void output(Socket client) throws IOException {
    byte[] buffer = new byte[4096];
    OutputStream out = client.getOutputStream();
    try (ConsoleSession session = machine.open(0)) {
      int count;
      while (!client.isClosed() && (count = session.read(buffer, LOOK)) >= 0) {
        out.write(buffer, 0, count);
      }
    }
  }

  private void input(Socket client) throws IOException {
    byte[] buffer = new byte[4096];
    InputStream in = client.getInputStream();
    int count;
    while ((count = in.read(buffer)) >= 0) {
      // A session of its own each time: the machine may have been off and on in between.
      try (ConsoleSession session = machine.open(0)) {
        session.write(Arrays.copyOf(buffer, count));
      } catch (IOException e) {
        LOG.log(Level.DEBUG, () -> "nobody reads what is typed: " + e.getMessage());
      }
    }
  }

  @Override
  public void close() throws IOException {
    listener.close();
    for (Socket client : clients) {
      client.close();
    }
  }
}
