package io.malleable.netboot;

import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.opentest4j.AssertionFailedError;

/**
 * An Ethernet segment: a bridge in the network namespace of this process, with taps for machines.
 * {@link SegmentTest} gives the process a namespace of its own; nothing here touches the host's.
 */
final class Segment {
  static final String BRIDGE = "br0";
  static final Ipv4 SERVER = DhcpRig.address("10.77.0.1");

  private final Path directory;
  private final Deque<AutoCloseable> open = new ArrayDeque<>();
  private int taps;

  Segment(Path directory) throws Exception {
    this.directory = directory;
    run("ip", "link", "set", "lo", "up");
    run("ip", "link", "add", BRIDGE, "type", "bridge", "forward_delay", "0");
    run("ip", "address", "add", SERVER + "/24", "dev", BRIDGE);
    run("ip", "link", "set", BRIDGE, "up");
  }

  /** Stops it with the segment, last opened first. */
  <T extends AutoCloseable> T keep(T resource) {
    open.push(resource);
    return resource;
  }

  /** Powers a diskless machine on. */
  QemuMachine machine(Firmware firmware, MacAddress mac, String... extra) throws Exception {
    // OVMF's own PXE and HTTP clients shall boot, not the iPXE in the card's ROM.
    return plugged(firmware, mac, firmware == Firmware.UEFI ? ",romfile=" : "", extra);
  }

  /** A BIOS machine that boots what it is given, not its card, which has no ROM. */
  QemuMachine machineWithoutRom(MacAddress mac, String... extra) throws Exception {
    return plugged(Firmware.BIOS, mac, ",romfile=,bootindex=9", extra);
  }

  private QemuMachine plugged(Firmware firmware, MacAddress mac, String rom, String... extra)
      throws Exception {
    String tap = "tap" + taps++;
    run("ip", "tuntap", "add", tap, "mode", "tap");
    run("ip", "link", "set", tap, "master", BRIDGE, "up");
    return keep(
        QemuMachine.start(
            directory,
            firmware,
            mac,
            "tap,id=n0,script=no,downscript=no,ifname=" + tap,
            rom,
            extra));
  }

  /** Somebody else's DHCP server: dnsmasq on a host of its own on the segment. */
  void dnsmasq(String... options) throws Exception {
    Process host =
        start(
            List.of(
                RequiredProgram.path("unshare", "util-linux").toString(), "-n", "sleep", "3600"));
    String pid = Long.toString(host.pid());
    run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1");
    run("ip", "link", "set", "v0", "master", BRIDGE, "up");
    // unshare needs a moment to leave our namespace before the interface can move into its own.
    Eventually.holds(
        "a namespace for dnsmasq",
        Duration.ofSeconds(20),
        () ->
            !Files.readSymbolicLink(Path.of("/proc", pid, "ns/net"))
                .equals(Files.readSymbolicLink(Path.of("/proc/self/ns/net"))));
    run("ip", "link", "set", "v1", "netns", pid);
    run("nsenter", "-t", pid, "-n", "ip", "address", "add", "10.77.0.2/24", "dev", "v1");
    run("nsenter", "-t", pid, "-n", "ip", "link", "set", "v1", "up");
    List<String> command =
        new ArrayList<>(
            List.of(
                "nsenter",
                "-t",
                pid,
                "-n",
                RequiredProgram.path("dnsmasq", "dnsmasq-base").toString(),
                "--no-daemon",
                "--port=0",
                "--interface=v1",
                "--bind-interfaces",
                "--log-dhcp",
                "--log-facility=-",
                "--dhcp-leasefile=" + directory.resolve("dnsmasq.leases"),
                "--pid-file="));
    // Without a daemon it keeps its user, which a user namespace could not change.
    command.addAll(List.of(options));
    if (List.of(options).stream().noneMatch(option -> option.startsWith("--conf-file"))) {
      command.add("--conf-file=/dev/null");
    }
    start(command);
  }

  private Process start(List<String> command) throws IOException {
    Process process =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(Redirect.appendTo(directory.resolve("segment.log").toFile()))
            .start();
    keep(() -> {
      process.destroyForcibly();
      process.waitFor(20, TimeUnit.SECONDS);
    });
    return process;
  }

  static void run(String... command) throws Exception {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output =
        new String(
            process.getInputStream().readAllBytes(), java.nio.charset.StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new AssertionFailedError(String.join(" ", command) + ": " + output);
    }
  }

  /** Stops everything, last opened first. */
  void stop() throws Exception {
    while (!open.isEmpty()) {
      open.pop().close();
    }
  }
}
