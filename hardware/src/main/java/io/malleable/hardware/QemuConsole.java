package io.malleable.hardware;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.net.SocketException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * The serial console of a lab machine. It is read from the log that QEMU writes, so any number of
 * readers may follow and nothing is missed; only typing needs the serial socket, which QEMU gives
 * to one client at a time.
 */
final class QemuConsole implements NodeConsole {
  private static final Logger LOG = System.getLogger(QemuConsole.class.getName());
  private static final Duration POLL = Duration.ofMillis(50);

  /** QEMU drops what it has not passed on to the machine when its client hangs up. */
  private static final Duration LINGER = Duration.ofMillis(300);

  private final MachineDirectory directory;

  QemuConsole(MachineDirectory directory) {
    this.directory = directory;
  }

  @Override
  public ConsoleSession open(int tailBytes) throws IOException {
    MachineDefinition.read(directory.path());
    return new Session(directory, tailBytes);
  }

  private static final class Session implements ConsoleSession {
    private final MachineDirectory directory;
    private @Nullable FileChannel log;
    private @Nullable Object logKey;
    private long positionBytes;
    private @Nullable SocketChannel serial;
    private long lastWriteNanos;
    private volatile boolean closed;

    Session(MachineDirectory directory, int tailBytes) throws IOException {
      this.directory = directory;
      openLog();
      FileChannel opened = log;
      if (opened != null) {
        positionBytes = Math.max(0, opened.size() - tailBytes);
      }
    }

    @Override
    public int read(byte[] into, Duration timeout) throws IOException {
      long deadlineNanos = System.nanoTime() + timeout.toNanos();
      while (!closed) {
        int count = readAvailable(into);
        if (count > 0) {
          return count;
        }
        if (System.nanoTime() >= deadlineNanos) {
          return 0;
        }
        pause(POLL);
      }
      return -1;
    }

    private int readAvailable(byte[] into) throws IOException {
      FileChannel current = log;
      if (current != null) {
        if (current.size() < positionBytes) {
          positionBytes = 0; // It was cut because it had become too long.
        }
        int count = current.read(ByteBuffer.wrap(into), positionBytes);
        if (count > 0) {
          positionBytes += count;
          if (positionBytes > ConsoleLog.MAX_BYTES) {
            new ConsoleLog(directory).trim();
          }
          return count;
        }
      }
      // At the end of this log; a power-on since then has begun another.
      if (current == null || !keyOf(directory.consoleLog()).equals(String.valueOf(logKey))) {
        openLog();
      }
      return 0;
    }

    private void openLog() throws IOException {
      try {
        FileChannel next = FileChannel.open(directory.consoleLog(), StandardOpenOption.READ);
        FileChannel before = log;
        log = next;
        logKey = keyOf(directory.consoleLog());
        positionBytes = 0;
        if (before != null) {
          before.close();
        }
      } catch (NoSuchFileException e) {
        // Not powered on yet; the next read looks again.
      }
    }

    private static String keyOf(Path file) throws IOException {
      try {
        return String.valueOf(
            Files.readAttributes(file, java.nio.file.attribute.BasicFileAttributes.class)
                .fileKey());
      } catch (NoSuchFileException e) {
        return "";
      }
    }

    @Override
    public void write(byte[] input) throws IOException {
      SocketChannel socket = serial;
      if (socket == null) {
        socket = connect();
        serial = socket;
      }
      ByteBuffer bytes = ByteBuffer.wrap(input);
      while (bytes.hasRemaining()) {
        socket.write(bytes);
      }
      lastWriteNanos = System.nanoTime();
    }

    private SocketChannel connect() throws IOException {
      SocketChannel socket = SocketChannel.open(StandardProtocolFamily.UNIX);
      try {
        socket.connect(UnixDomainSocketAddress.of(directory.serialSocket()));
      } catch (SocketException e) {
        // No socket, or one that a QEMU has left behind.
        socket.close();
        throw new PowerException(
            PowerException.Kind.REFUSED,
            "the machine " + directory.name() + " is off, so nobody reads what is typed",
            "switch it on first",
            e);
      } catch (IOException e) {
        socket.close();
        throw e;
      }
      // The machine's output comes here too; unread, it would stop the machine when it fills up.
      Thread.ofVirtual().name("console-" + directory.name()).start(() -> drain(socket));
      return socket;
    }

    private static void drain(SocketChannel socket) {
      ByteBuffer unwanted = ByteBuffer.allocate(4096);
      try {
        while (socket.read(unwanted) >= 0) {
          unwanted.clear();
        }
      } catch (IOException e) {
        LOG.log(Level.DEBUG, () -> "serial socket ended: " + e);
      }
    }

    @Override
    public void close() throws IOException {
      closed = true;
      SocketChannel socket = serial;
      if (socket != null) {
        Duration since = Duration.ofNanos(System.nanoTime() - lastWriteNanos);
        if (since.compareTo(LINGER) < 0) {
          pause(LINGER.minus(since));
        }
        socket.close();
      }
      FileChannel current = log;
      if (current != null) {
        current.close();
      }
    }

    private static void pause(Duration time) throws IOException {
      try {
        Thread.sleep(time);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new InterruptedIOException("interrupted at the console");
      }
    }
  }
}
