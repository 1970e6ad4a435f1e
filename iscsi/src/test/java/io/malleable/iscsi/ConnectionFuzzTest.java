package io.malleable.iscsi;

import com.code_intelligence.jazzer.api.BugDetectors;
import com.code_intelligence.jazzer.junit.FuzzTest;
import com.sun.management.HotSpotDiagnosticMXBean;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeoutException;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;

/**
 * A whole connection, as a peer makes it: login, then full feature phase. A finding is a fault of
 * ours that ended it, an answer that no target gives, a buffer that did not come back, or no end.
 */
class ConnectionFuzzTest {
  private static final String GUARDED = TestServer.TARGET + "-guarded";
  private static final Duration LIMIT = Duration.ofSeconds(60);

  /** RFC 7143 11.1.1.2: what a target sends. */
  private static final Set<Integer> TARGET_OPCODES =
      Set.of(0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x31, 0x32, 0x3f);

  /** Faults are logged as errors before anything else is told of them. */
  private static final class Faults extends Handler {
    private final ConcurrentLinkedQueue<LogRecord> records = new ConcurrentLinkedQueue<>();

    @Override
    public void publish(LogRecord record) {
      if (record.getLevel().intValue() >= Level.SEVERE.intValue()) {
        records.add(record);
      }
    }

    @Override
    public void flush() {}

    @Override
    public void close() {}
  }

  private static final Faults FAULTS = new Faults();

  /** Kept, because the log manager does not. */
  private static final Logger LOGGER = Logger.getLogger("io.malleable.iscsi");

  private static IscsiServer server;
  private static InetSocketAddress address;

  /** What earlier inputs lost, each of which is told once. */
  private static long lostBytes;

  @BeforeAll
  static void openServer() throws IOException {
    LOGGER.addHandler(FAULTS);
    LOGGER.setUseParentHandlers(false);
    InetSocketAddress any = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
    server =
        new IscsiServer(
            new IscsiServerConfig(
                List.of(new Portal(any, 1)),
                16,
                4,
                16,
                32L << 20,
                LIMIT,
                LIMIT,
                LIMIT,
                Duration.ZERO,
                Duration.ZERO),
            ReservationStore.none(),
            new TargetListener() {});
    address = server.open().getFirst().address();
  }

  @AfterAll
  static void closeServer() throws IOException {
    server.close();
    LOGGER.removeHandler(FAULTS);
    LOGGER.setUseParentHandlers(true);
  }

  /**
   * @param input how far the login is done already (0 not at all, 1 a normal session, 2 one with
   *     small bursts and several workers, 3 a discovery session), then what is sent
   */
  @FuzzTest(maxDuration = "")
  void connection(byte[] input) throws Exception {
    // Jazzer takes a connection for the work of the input unless it is told.
    BugDetectors.allowNetworkConnections((host, port) -> port == address.getPort());
    if (input.length > 0) {
      converse(input);
    }
  }

  private static void converse(byte[] input) throws Exception {
    int kind = input[0] & 3;
    // Left over if the input before was a finding.
    server.withdraw(TestServer.TARGET, LIMIT);
    server.withdraw(GUARDED, LIMIT);
    server.define(
        new TargetDefinition(
            TestServer.TARGET,
            Map.of(0, new MemoryUnit(64 << 10).concurrency(kind == 2 ? 4 : 1)),
            Access.open()));
    server.define(
        new TargetDefinition(
            GUARDED,
            Map.of(),
            new Access(
                Set.of(TestServer.INITIATOR),
                Optional.of(new ChapCredentials("node", "correct-horse-battery")),
                Optional.empty())));
    try (Socket socket = new Socket()) {
      socket.connect(address);
      socket.setSoTimeout((int) LIMIT.toMillis());
      exchange(socket, kind, input);
      server.withdraw(TestServer.TARGET, LIMIT);
      server.withdraw(GUARDED, LIMIT);
      awaitNoConnection();
    } catch (SocketTimeoutException | TimeoutException e) {
      throw new IllegalStateException("no end; what each thread does: " + dump(), e);
    }
    long before = lostBytes;
    lostBytes = server.counters().bufferBytes();
    if (lostBytes != before) {
      throw new IllegalStateException(server.counters() + ": a buffer is lost");
    }
    LogRecord fault = FAULTS.records.poll();
    if (fault != null) {
      FAULTS.records.clear();
      throw new IllegalStateException(fault.getMessage(), fault.getThrown());
    }
  }

  /** Every thread's stack, virtual ones included, which a JVM's usual dump leaves out. */
  private static Path dump() throws IOException {
    Path file = Path.of("target", "fuzz-threads-" + ProcessHandle.current().pid() + ".txt");
    Files.deleteIfExists(file);
    ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class)
        .dumpThreads(
            file.toAbsolutePath().toString(), HotSpotDiagnosticMXBean.ThreadDumpFormat.TEXT_PLAIN);
    return file;
  }

  private static void exchange(Socket socket, int kind, byte[] input) throws IOException {
    DataInputStream in = new DataInputStream(socket.getInputStream());
    try {
      if (kind != 0) {
        socket.getOutputStream().write(login(kind));
        skipPdu(in);
      }
      socket.getOutputStream().write(input, 1, input.length - 1);
      socket.shutdownOutput();
      while (true) {
        skipPdu(in);
      }
    } catch (EOFException | SocketException expected) {
      // Closed by the target: orderly, or with bytes of ours that it did not want to read.
      return;
    }
  }

  private static void skipPdu(DataInputStream in) throws IOException {
    byte[] header = new byte[48];
    in.readFully(header);
    if (!TARGET_OPCODES.contains(header[0] & 0xff)) {
      throw new IllegalStateException("the target sent opcode " + (header[0] & 0xff));
    }
    int length = ByteBuffer.wrap(header).getInt(4) & 0xffffff;
    in.skipNBytes((length + 3) & ~3);
  }

  private static byte[] login(int kind) {
    String text = "InitiatorName=" + TestServer.INITIATOR + "\0";
    text +=
        switch (kind) {
          case 1 -> "TargetName=" + TestServer.TARGET + "\0InitialR2T=No\0";
          case 2 ->
              "TargetName="
                  + TestServer.TARGET
                  + "\0InitialR2T=No\0MaxRecvDataSegmentLength=512\0"
                  + "FirstBurstLength=512\0MaxBurstLength=1024\0";
          default -> "SessionType=Discovery\0";
        };
    byte[] data = text.getBytes(StandardCharsets.US_ASCII);
    ByteBuffer header = ByteBuffer.allocate(48).put(0, (byte) 0x43).put(1, (byte) 0x87);
    header.putInt(4, data.length).putLong(8, 0x00023d000001L << 16).putInt(24, 1);
    ByteArrayOutputStream pdu = new ByteArrayOutputStream();
    pdu.writeBytes(header.array());
    pdu.writeBytes(data);
    pdu.writeBytes(new byte[-data.length & 3]);
    return pdu.toByteArray();
  }

  private static void awaitNoConnection() throws TimeoutException {
    long deadline = System.nanoTime() + LIMIT.toNanos();
    while (server.counters().connections() != 0) {
      if (System.nanoTime() - deadline > 0) {
        throw new TimeoutException("the connection did not end");
      }
      Thread.onSpinWait();
    }
  }
}
