package io.malleable.lab;

import io.malleable.cli.CommandFailure;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * The Ethernet segment of the lab's rack: a bridge in the network namespace of this process, with a
 * tap for each machine. It has no way out, so nothing here meets a real network.
 */
final class RackSwitch {
  static final String BRIDGE = "m2rack0";
  static final String ADDRESS = "10.77.0.1";

  /** What the server may hand out there. */
  static final String POOL = "10.77.0.100-10.77.0.200";

  private static final Path INTERFACES = Path.of("/sys/class/net");
  private static final String TAP = "m2rack0p";

  private RackSwitch() {}

  static boolean exists() {
    return isThere(BRIDGE);
  }

  /** Makes the bridge with our address; one that is there already stays as it is. */
  static void make() {
    if (!exists()) {
      ip("link", "add", BRIDGE, "type", "bridge", "forward_delay", "0");
      ip("address", "add", ADDRESS + "/24", "dev", BRIDGE);
      ip("link", "set", BRIDGE, "up");
    }
  }

  static void remove() {
    if (exists()) {
      ip("link", "delete", BRIDGE);
    }
  }

  /** The tap of a machine, counted from 1. */
  static String plug(int number) {
    String tap = TAP + number;
    if (!isThere(tap)) {
      ip("tuntap", "add", "dev", tap, "mode", "tap");
    }
    ip("link", "set", tap, "master", BRIDGE, "up");
    return tap;
  }

  static void unplug(int number) {
    String tap = TAP + number;
    if (isThere(tap)) {
      ip("link", "delete", tap);
    }
  }

  private static boolean isThere(String name) {
    return Files.exists(INTERFACES.resolve(name)) || answers("link", "show", name);
  }

  /** For a namespace whose /sys is still the one of the host. */
  private static boolean answers(String... arguments) {
    try {
      ip(arguments);
      return true;
    } catch (CommandFailure e) {
      return false;
    }
  }

  private static void ip(String... arguments) {
    List<String> command = new ArrayList<>(List.of("ip"));
    command.addAll(List.of(arguments));
    String said;
    try {
      Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      try (InputStream output = process.getInputStream()) {
        said = new String(output.readNBytes(4096), StandardCharsets.UTF_8).strip();
        if (process.waitFor(30, TimeUnit.SECONDS) && process.exitValue() == 0) {
          return;
        }
      } finally {
        process.destroyForcibly();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      said = "interrupted";
    } catch (IOException e) {
      said = e.getMessage() + "; install the Debian package iproute2";
    }
    throw new CommandFailure(
        String.join(" ", command) + ": " + said,
        "The rack needs root, or a namespace for it and the server: unshare -Urnm");
  }
}
