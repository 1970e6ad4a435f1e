package io.malleable.lab;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.malleable.cli.ApiClient;
import io.malleable.cli.ApiException;
import io.malleable.cli.CommandFailure;
import io.malleable.hardware.Firmware;
import io.malleable.hardware.HardwareSettings;
import io.malleable.hardware.MachineDefinition;
import io.malleable.hardware.NodeConsole;
import io.malleable.hardware.PowerDriver;
import io.malleable.hardware.PowerDrivers;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import java.util.UUID;

/**
 * Servers that look like metal: diskless, on an Ethernet segment of their own, behind BMCs. To the
 * M2 server they are nodes with {@code ipmi://} and {@code redfish://} addresses; only this class
 * knows better. Everything ends with {@link #close}, except the nodes.
 */
final class Rack implements AutoCloseable {
  static final String USER = "rack";
  private static final int FIRST_BMC_PORT = 16_230;
  private static final int CONSOLE_PORTS = 100;

  /** IPMI allows 20 bytes, the simulator 16. */
  private static final int PASSWORD_CHARS = 16;

  private final Path directory;
  private final RedfishBmc.Account account;
  private final PowerDrivers drivers;
  private final Deque<AutoCloseable> open = new ArrayDeque<>();

  private Rack(Path directory, String password) {
    this.directory = directory;
    this.account = new RedfishBmc.Account(USER, password);
    this.drivers = new PowerDrivers(HardwareSettings.lab(directory));
  }

  /** Which BMC a server of the rack has. */
  enum BmcKind {
    IPMI,
    REDFISH
  }

  /** How a server of the rack starts: the firmware, and for UEFI the protocol it boots by. */
  enum Start {
    BIOS(Firmware.BIOS, MachineDefinition.NetworkLoader.IPXE_ROM),
    UEFI_PXE(Firmware.UEFI, MachineDefinition.NetworkLoader.FIRMWARE),
    UEFI_HTTP(Firmware.UEFI, MachineDefinition.NetworkLoader.FIRMWARE_HTTP);

    private final Firmware firmware;
    private final MachineDefinition.NetworkLoader loader;

    Start(Firmware firmware, MachineDefinition.NetworkLoader loader) {
      this.firmware = firmware;
      this.loader = loader;
    }

    Firmware firmware() {
      return firmware;
    }
  }

  /** A server of the rack, as it is plugged in. */
  record Slot(int number, String name, Start start, BmcKind bmc, int memoryMiB) {
    int port() {
      return FIRST_BMC_PORT + number;
    }

    /** Of the Serial over LAN beside Redfish. */
    int consolePort() {
      return port() + CONSOLE_PORTS;
    }

    /** In QEMU's range; the segment is nobody else's. */
    String mac() {
      return String.format("52:54:00:77:%02x:%02x", number >> 8, number & 0xff);
    }

    String bmcAddress() {
      String place = USER + "@127.0.0.1:" + port();
      return switch (bmc) {
        case IPMI -> "ipmi://" + place;
        // The certificate is the BMC's own, as it is on real ones that came from their factory.
        case REDFISH ->
            "redfish://"
                + place
                + (start == Start.UEFI_HTTP ? "?boot=http&" : "?")
                + "console=ipmi:"
                + consolePort()
                + "&insecure=true";
      };
    }
  }

  /**
   * An empty rack.
   *
   * @param directory of the machines and BMCs
   * @param credentials the server's file of BMC passwords; the rack's account is added
   */
  static Rack open(Path directory, Path credentials) throws IOException {
    Files.createDirectories(directory);
    Path secret = directory.resolve("bmc-password");
    if (!Files.exists(secret)) {
      writePrivately(
          secret, UUID.randomUUID().toString().replace("-", "").substring(0, PASSWORD_CHARS));
    }
    String password = Files.readString(secret).strip();
    String line = USER + "@127.0.0.1 " + password;
    boolean known = Files.exists(credentials) && Files.readAllLines(credentials).contains(line);
    if (!known) {
      writePrivately(credentials, line + "\n");
    }
    return new Rack(directory, password);
  }

  /** Appends to a file that was never readable by others. */
  private static void writePrivately(Path file, String text) throws IOException {
    if (!Files.exists(file)) {
      Files.createFile(
          file, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
    }
    Files.write(file, text.getBytes(StandardCharsets.UTF_8), StandardOpenOption.APPEND);
  }

  /** Plugs a server in and starts its BMC; it has no power yet. */
  void add(Slot slot) throws IOException {
    RackSwitch.make();
    String tap = RackSwitch.plug(slot.number());
    open.push(() -> RackSwitch.unplug(slot.number()));
    define(slot, tap, slot.start());
    String address = "qemu:" + slot.name();
    PowerDriver machine = drivers.driver(address, slot.start().firmware());
    NodeConsole serial = drivers.console(UUID.randomUUID(), address).orElseThrow();
    open.push(machine::off);
    Path bmc = directory.resolve(slot.name()).resolve("bmc");
    switch (slot.bmc()) {
      case IPMI -> open.push(IpmiBmc.start(bmc, slot.port(), account, machine, serial));
      case REDFISH -> {
        InetSocketAddress at = new InetSocketAddress(InetAddress.getLoopbackAddress(), slot.port());
        open.push(
            RedfishBmc.start(
                at, bmc, account, machine, target -> define(slot, tap, start(slot, target))));
        Path sol = directory.resolve(slot.name()).resolve("sol");
        open.push(IpmiBmc.start(sol, slot.consolePort(), account, machine, serial));
      }
    }
  }

  /** A UEFI machine follows the override of its BMC, any other boots as it always does. */
  private static Start start(Slot slot, String target) {
    if (slot.start().firmware() == Firmware.BIOS) {
      return slot.start();
    }
    return target.equals("UefiHttp") ? Start.UEFI_HTTP : Start.UEFI_PXE;
  }

  private void define(Slot slot, String tap, Start start) throws IOException {
    new MachineDefinition(
            List.of(new MachineDefinition.Nic(slot.mac(), tap)),
            start.firmware,
            start.loader,
            slot.memoryMiB(),
            1,
            null)
        .write(directory, slot.name());
  }

  /** Makes the server a node, or gives the node that there is its present BMC. */
  static void register(ApiClient api, Slot slot) {
    ObjectNode node = api.object().put("bmc", slot.bmcAddress());
    node.put("firmware", slot.start().firmware().name().toLowerCase(Locale.ROOT));
    try {
      api.get("/v1/nodes/{}", slot.name());
      api.patch(node, "/v1/nodes/{}", slot.name());
    } catch (ApiException e) {
      if (e.status() != 404) {
        throw e;
      }
      node.put("name", slot.name());
      node.putArray("nics").addObject().put("mac", slot.mac());
      api.post(node, "/v1/nodes");
    }
  }

  /** Switches everything off, the last plugged in first. */
  @Override
  public void close() {
    CommandFailure failure = null;
    while (!open.isEmpty()) {
      try {
        open.pop().close();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      } catch (Exception e) {
        if (failure == null) {
          failure = new CommandFailure("the rack did not stop whole: " + e.getMessage(), null, e);
        } else {
          failure.addSuppressed(e);
        }
      }
    }
    if (failure != null) {
      throw failure;
    }
  }
}
