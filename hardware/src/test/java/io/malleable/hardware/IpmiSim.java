package io.malleable.hardware;

import static org.junit.jupiter.api.Assertions.fail;

import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.SocketTimeoutException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;

/**
 * OpenIPMI's BMC simulator on a free port of 127.0.0.1. The machine behind it is a directory:
 * {@code power} holds 0 or 1, {@code boot} the override.
 */
final class IpmiSim implements AutoCloseable {
  static final String PASSWORD = "s3cret-p4ss";

  /** RMCP presence ping (ASF 2.0, 3.2.4.2): a BMC answers it without a session. */
  private static final byte[] PING = {
    6,
    0,
    (byte) 0xff,
    6, // RMCP version, reserved, no acknowledge, class ASF
    0,
    0,
    0x11,
    (byte) 0xbe, // ASF's enterprise number
    (byte) 0x80,
    0,
    0,
    0 // presence ping, tag, reserved, no data
  };

  private final Path directory;
  private final int port;
  private final Process process;

  private IpmiSim(Path directory, int port, Process process) {
    this.directory = directory;
    this.port = port;
    this.process = process;
  }

  /**
   * Starts a BMC.
   *
   * @param solPort where the machine's serial port listens on 127.0.0.1, or 0 for none
   */
  static IpmiSim start(Path directory, int solPort) throws IOException {
    DebianPrograms.require("ipmi_sim", "openipmi");
    DebianPrograms.require("ipmitool", "ipmitool");
    // Another program may take the port in between; then the simulator ends and we ask again.
    for (int attempt = 0; attempt < 5; attempt++) {
      int port = freeUdpPort();
      IpmiSim sim = new IpmiSim(directory, port, launch(directory, port, solPort));
      if (sim.awaitAnswer()) {
        return sim;
      }
      sim.close();
    }
    return fail("ipmi_sim does not start: " + Files.readString(directory.resolve("sim.log")));
  }

  private static Process launch(Path directory, int port, int solPort) throws IOException {
    Files.createDirectories(directory.resolve("state"));
    Files.writeString(directory.resolve("power"), "0\n");
    Files.writeString(directory.resolve("boot"), "default\n");
    Path control = directory.resolve("control");
    Files.writeString(
        control,
        """
        #!/bin/sh
        # control MC get PARAMETER... | control MC set PARAMETER VALUE...
        cd "$(dirname "$0")" || exit 1
        verb=$2
        shift 2
        while [ $# -gt 0 ]; do
          if [ "$verb" = get ]; then
            echo "$1:$(cat "$1")"
            shift
          else
            [ -e "ignore-$1" ] || echo "$2" > "$1"
            echo "$1=$2" >> commands
            shift 2
          fi
        done
        """);
    Files.setPosixFilePermissions(control, PosixFilePermissions.fromString("rwx------"));
    String all = "none md2 md5 straight";
    Files.writeString(
        directory.resolve("lan.conf"),
        """
        name "bmc"
        set_working_mc 0x20
          startlan 1
            addr 127.0.0.1 %d
            priv_limit admin
            allowed_auths_callback %s
            allowed_auths_user %s
            allowed_auths_operator %s
            allowed_auths_admin %s
            guid a123456789abcdefa123456789abcdef
          endlan
          chassis_control "%s 0x20"
          %s
          user 2 true "admin" "%s" admin 10 %s
        """
            .formatted(
                port,
                all,
                all,
                all,
                all,
                control,
                solPort == 0 ? "" : "sol \"tcp:127.0.0.1:" + solPort + "\" 115200",
                PASSWORD,
                all));
    Files.writeString(
        directory.resolve("start.emu"),
        """
        mc_setbmc 0x20
        mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
        mc_enable 0x20
        """);
    return new ProcessBuilder("ipmi_sim", "-c", "lan.conf", "-f", "start.emu", "-s", "state", "-n")
        .directory(directory.toFile())
        .redirectErrorStream(true)
        .redirectOutput(directory.resolve("sim.log").toFile())
        .start();
  }

  private boolean awaitAnswer() throws IOException {
    long deadlineNanos = System.nanoTime() + Duration.ofSeconds(30).toNanos();
    try (DatagramSocket socket = new DatagramSocket(0, InetAddress.getLoopbackAddress())) {
      socket.setSoTimeout(100);
      while (process.isAlive() && System.nanoTime() < deadlineNanos) {
        socket.send(new DatagramPacket(PING, PING.length, InetAddress.getLoopbackAddress(), port));
        try {
          socket.receive(new DatagramPacket(new byte[100], 100));
          return true;
        } catch (SocketTimeoutException | java.net.PortUnreachableException e) {
          // Not there yet.
        }
      }
    }
    return false;
  }

  private static int freeUdpPort() throws IOException {
    try (DatagramSocket socket = new DatagramSocket(0, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    }
  }

  BmcAddress.Ipmi address(String user) {
    return (BmcAddress.Ipmi) BmcAddress.parse("ipmi://" + user + "@127.0.0.1:" + port);
  }

  /** From now on commands for {@code parameter} are accepted and forgotten. */
  void ignore(String parameter) throws IOException {
    Files.writeString(directory.resolve("ignore-" + parameter), "");
  }

  String value(String parameter) throws IOException {
    return Files.readString(directory.resolve(parameter)).strip();
  }

  /** The commands that reached the machine, oldest first. */
  String commands() throws IOException {
    Path file = directory.resolve("commands");
    return Files.exists(file) ? Files.readString(file) : "";
  }

  @Override
  public void close() {
    process.destroyForcibly().onExit().join();
  }
}
