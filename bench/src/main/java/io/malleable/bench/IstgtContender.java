package io.malleable.bench;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/** istgt (Debian package istgt), on a raw file. */
final class IstgtContender implements Contender {
  private static final String NODE_BASE = "iqn.2026-11.io.malleable.bench";
  private static final int START_ATTEMPTS = 200;

  private final Process process;
  private final int port;

  private IstgtContender(Process process, int port) {
    this.process = process;
    this.port = port;
  }

  static IstgtContender start(Path file, long sizeBytes, Path directory)
      throws IOException, InterruptedException {
    Programs.require("istgt", "istgt");
    int port = TgtContender.freePort();
    int control = TgtContender.freePort();
    Path configuration = directory.resolve("istgt.conf");
    Path authentication = Files.writeString(directory.resolve("istgt-auth.conf"), "");
    Files.writeString(
        configuration,
        """
        [Global]
          NodeBase "%s"
          PidFile %s
          AuthFile %s
          LogFacility "local7"
          Timeout 30
          NopInInterval 20
          MaxSessions 16
          MaxConnections 4
          MaxR2T 32
          MaxOutstandingR2T 16
          DefaultTime2Wait 2
          DefaultTime2Retain 60
          FirstBurstLength 262144
          MaxBurstLength 1048576
          MaxRecvDataSegmentLength 262144
          InitialR2T Yes
          ImmediateData Yes
          DataPDUInOrder Yes
          DataSequenceInOrder Yes
          ErrorRecoveryLevel 0
        [UnitControl]
          AuthMethod None
          Portal UC1 127.0.0.1:%d
          Netmask 127.0.0.1
        [PortalGroup1]
          Portal DA1 127.0.0.1:%d
        [InitiatorGroup1]
          InitiatorName "ALL"
          Netmask 127.0.0.1
        [LogicalUnit1]
          TargetName disk
          Mapping PortalGroup1 InitiatorGroup1
          AuthMethod None
          UnitType Disk
          QueueDepth 64
          LUN0 Storage %s %dMB
        """
            .formatted(
                NODE_BASE,
                directory.resolve("istgt.pid"),
                authentication,
                control,
                port,
                file,
                sizeBytes >> 20));
    Process process =
        new ProcessBuilder("istgt", "-D", "-c", configuration.toString())
            .redirectErrorStream(true)
            .redirectOutput(directory.resolve("istgt.log").toFile())
            .start();
    for (int attempt = 0; !listens(port); attempt++) {
      if (attempt == START_ATTEMPTS || !process.isAlive()) {
        process.destroyForcibly();
        throw new IOException(
            "istgt does not listen:\n" + Files.readString(directory.resolve("istgt.log")));
      }
      TimeUnit.MILLISECONDS.sleep(50);
    }
    return new IstgtContender(process, port);
  }

  private static boolean listens(int port) {
    try (Socket socket = new Socket()) {
      socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 1000);
      return true;
    } catch (IOException e) {
      return false; // not yet
    }
  }

  @Override
  public String name() {
    return "istgt, raw file";
  }

  @Override
  public String url() {
    return "iscsi://127.0.0.1:" + port + "/" + NODE_BASE + ":disk/0";
  }

  @Override
  public long pid() {
    return process.pid();
  }

  @Override
  public void stop() throws InterruptedException {
    process.destroyForcibly().waitFor();
  }
}
