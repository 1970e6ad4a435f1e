package io.malleable.lab;

import io.malleable.hardware.NodeConsole;
import io.malleable.hardware.PowerDriver;
import io.malleable.hardware.PowerState;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Writer;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.UUID;

/**
 * OpenIPMI's BMC simulator in front of a machine of the lab. The simulator runs a script for each
 * power command; the script asks us through a port of 127.0.0.1, with a key that only files of mode
 * 0600 hold.
 */
final class IpmiBmc implements AutoCloseable {
  private static final Logger LOG = System.getLogger(IpmiBmc.class.getName());
  private static final int SCRIPT_LIMIT_MILLIS = 10_000;

  private final PowerDriver machine;
  private final String key = UUID.randomUUID().toString();
  private final ServerSocket control;
  private final SerialLine serial;
  private final Process simulator;
  private volatile String bootDevice = "default";

  private IpmiBmc(
      Path directory,
      int port,
      RedfishBmc.Account account,
      PowerDriver machine,
      NodeConsole console)
      throws IOException {
    this.machine = machine;
    this.control = new ServerSocket(0, 16, InetAddress.getLoopbackAddress());
    this.serial = SerialLine.of(console);
    try {
      write(directory, port, account);
      Thread.ofVirtual().name("ipmi-bmc-control").start(this::serve);
      this.simulator =
          new ProcessBuilder("ipmi_sim", "-c", "lan.conf", "-f", "start.emu", "-s", "state", "-n")
              .directory(directory.toFile())
              .redirectErrorStream(true)
              .redirectOutput(directory.resolve("bmc.log").toFile())
              .start();
    } catch (IOException e) {
      control.close();
      serial.close();
      throw e;
    }
  }

  /**
   * Starts a BMC on a UDP port of 127.0.0.1.
   *
   * @param directory of its configuration; made private
   * @param console the machine's serial port, which the BMC offers as Serial over LAN
   */
  static IpmiBmc start(
      Path directory,
      int port,
      RedfishBmc.Account account,
      PowerDriver machine,
      NodeConsole console)
      throws IOException {
    Files.createDirectories(directory.resolve("state"));
    Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwx------"));
    return new IpmiBmc(directory, port, account, machine, console);
  }

  private void write(Path directory, int port, RedfishBmc.Account account) throws IOException {
    Path script = directory.resolve("chassis");
    Files.writeString(
        script,
        """
        #!/bin/bash
        # chassis MC get PARAMETER... | chassis MC set PARAMETER VALUE...
        exec 3<>/dev/tcp/127.0.0.1/%d || exit 1
        echo "%s ${*:2}" >&3
        cat <&3
        """
            .formatted(control.getLocalPort(), key));
    Files.setPosixFilePermissions(script, PosixFilePermissions.fromString("rwx------"));
    String kinds = "none md2 md5 straight";
    Files.writeString(
        directory.resolve("lan.conf"),
        """
        name "bmc"
        set_working_mc 0x20
          startlan 1
            addr 127.0.0.1 %d
            priv_limit admin
            allowed_auths_callback %3$s
            allowed_auths_user %3$s
            allowed_auths_operator %3$s
            allowed_auths_admin %3$s
            guid %4$s
          endlan
          chassis_control "%2$s 0x20"
          sol "tcp:127.0.0.1:%7$d" 115200
          user 2 true "%5$s" "%6$s" admin 10 %3$s
        """
            .formatted(
                port,
                script,
                kinds,
                UUID.randomUUID().toString().replace("-", ""),
                account.user(),
                account.password(),
                serial.port()));
    Files.writeString(
        directory.resolve("start.emu"),
        """
        mc_setbmc 0x20
        mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
        mc_enable 0x20
        """);
  }

  boolean isAlive() {
    return simulator.isAlive();
  }

  private void serve() {
    while (!control.isClosed()) {
      try (Socket script = control.accept()) {
        script.setSoTimeout(SCRIPT_LIMIT_MILLIS);
        answer(script);
      } catch (SocketException e) {
        LOG.log(Level.DEBUG, () -> "a script of the BMC left: " + e.getMessage());
      } catch (IOException e) {
        LOG.log(Level.WARNING, "a machine of the rack could not be switched", e);
      }
    }
  }

  private void answer(Socket script) throws IOException {
    BufferedReader reader =
        new BufferedReader(
            new InputStreamReader(script.getInputStream(), StandardCharsets.US_ASCII), 256);
    String line = reader.readLine();
    String[] words = line == null ? new String[0] : line.split(" ", 32);
    if (words.length < 3 || !words[0].equals(key)) {
      return;
    }
    StringBuilder text = new StringBuilder();
    boolean get = words[1].equals("get");
    for (int i = 2; i < words.length; i += get ? 1 : 2) {
      if (get) {
        text.append(words[i]).append(':').append(value(words[i])).append('\n');
      } else if (i + 1 < words.length) {
        set(words[i], words[i + 1]);
      }
    }
    Writer writer =
        new java.io.OutputStreamWriter(script.getOutputStream(), StandardCharsets.US_ASCII);
    writer.write(text.toString());
    writer.flush();
  }

  private String value(String parameter) throws IOException {
    return switch (parameter) {
      case "power" -> machine.state() == PowerState.ON ? "1" : "0";
      case "boot" -> bootDevice;
      default -> "0";
    };
  }

  private void set(String parameter, String value) throws IOException {
    switch (parameter) {
      case "power" -> {
        if (value.equals("1")) {
          machine.on();
        } else {
          machine.off();
        }
      }
      case "reset" -> machine.cycle();
      case "boot" -> bootDevice = value;
      default -> LOG.log(Level.DEBUG, "the BMC sets {0}, which this machine has not", parameter);
    }
  }

  @Override
  public void close() throws IOException {
    try (control;
        serial) {
      simulator.destroyForcibly().onExit().join();
    }
  }
}
