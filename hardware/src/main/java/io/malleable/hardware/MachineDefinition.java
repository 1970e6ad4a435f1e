package io.malleable.hardware;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A virtual server without a disk, as {@code machine.json} in its directory below the lab directory
 * describes it. The lab writes it; the {@code qemu} driver starts what it says.
 *
 * @param nics the first one boots; at least one, at most 8
 * @param memoryMiB 64 to 65536
 * @param cpus 1 to 64
 * @param bootUrl the boot file that QEMU's user-mode network hands out; only for NICs without a tap
 */
public record MachineDefinition(
    List<Nic> nics,
    Firmware firmware,
    NetworkLoader loader,
    int memoryMiB,
    int cpus,
    @Nullable String bootUrl) {

  /**
   * A network card.
   *
   * @param mac six pairs of hexadecimal digits, colons between them
   * @param tap the host's interface, or null for a user-mode network of the machine's own
   */
  public record Nic(String mac, @Nullable String tap) {}

  /** Who brings the network boot: an iPXE of the host or the firmware's own drivers. */
  public enum NetworkLoader {
    /** QEMU's option ROM in a BIOS machine; the program that does the same in a UEFI one. */
    IPXE_ROM,
    /** UEFI's own PXE, and HTTP boot after it; a BIOS machine without the ROM boots nothing. */
    FIRMWARE,
    /** UEFI's own HTTP boot alone. */
    FIRMWARE_HTTP;

    String word() {
      return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    private static NetworkLoader of(String word) {
      for (NetworkLoader loader : values()) {
        if (loader.word().equals(word)) {
          return loader;
        }
      }
      throw new IllegalArgumentException(
          "loader: \"" + word + "\"; use ipxe-rom, firmware or firmware-http");
    }
  }

  static final String FILE_NAME = "machine.json";

  private static final Pattern MAC = Pattern.compile("[0-9a-f]{2}(:[0-9a-f]{2}){5}");
  private static final Pattern INTERFACE = Pattern.compile("[A-Za-z0-9_.-]{1,15}");
  private static final Pattern BOOT_URL = Pattern.compile("(http|tftp)://[!-~]{1,400}");
  private static final ObjectMapper JSON = new ObjectMapper();

  public MachineDefinition {
    nics = List.copyOf(nics);
    require(!nics.isEmpty() && nics.size() <= 8, "nics", nics.size(), "give 1 to 8");
    for (Nic nic : nics) {
      require(MAC.matcher(nic.mac()).matches(), "mac", nic.mac(), "use 52:54:00:12:34:56's form");
      if (nic.tap() != null) {
        require(INTERFACE.matcher(nic.tap()).matches(), "tap", nic.tap(), "name an interface");
      }
    }
    require(memoryMiB >= 64 && memoryMiB <= 65_536, "memoryMiB", memoryMiB, "use 64 to 65536");
    require(cpus >= 1 && cpus <= 64, "cpus", cpus, "use 1 to 64");
    if (bootUrl != null) {
      require(BOOT_URL.matcher(bootUrl).matches(), "bootUrl", bootUrl, "use http://HOST:PORT/PATH");
    }
  }

  /** One NIC on a user-mode network of its own that is told to boot {@code bootUrl}. */
  public static MachineDefinition onUserNetwork(
      String mac, Firmware firmware, int memoryMiB, String bootUrl) {
    return new MachineDefinition(
        List.of(new Nic(mac, null)), firmware, NetworkLoader.IPXE_ROM, memoryMiB, 1, bootUrl);
  }

  /**
   * Creates the machine's directory, or defines it anew; a machine that runs is not touched and
   * uses the new definition from its next power-on.
   *
   * @throws BmcAddressException when the name is not one a directory below the lab may have
   */
  public void write(Path labDirectory, String name) throws IOException {
    Path directory = directory(labDirectory, name);
    Files.createDirectories(directory);
    Path fresh = Files.createTempFile(directory, FILE_NAME, ".new");
    try {
      Files.writeString(fresh, toJson().toPrettyString() + "\n");
      Files.move(fresh, directory.resolve(FILE_NAME), StandardCopyOption.ATOMIC_MOVE);
    } finally {
      Files.deleteIfExists(fresh);
    }
    if (firmware == Firmware.UEFI) {
      UefiVariables.prepare(directory);
    }
  }

  static Path directory(Path labDirectory, String name) {
    BmcAddress.Qemu checked = (BmcAddress.Qemu) BmcAddress.parse("qemu:" + name);
    return labDirectory.toAbsolutePath().normalize().resolve(checked.name());
  }

  static MachineDefinition read(Path directory) throws IOException {
    Path file = directory.resolve(FILE_NAME);
    try {
      JsonNode json = JSON.readTree(Files.readAllBytes(file));
      List<Nic> nics = new ArrayList<>();
      for (JsonNode nic : json.path("nics")) {
        nics.add(new Nic(text(nic, "mac").toLowerCase(Locale.ROOT), optionalText(nic, "tap")));
      }
      return new MachineDefinition(
          nics,
          Firmware.valueOf(text(json, "firmware").toUpperCase(Locale.ROOT)),
          NetworkLoader.of(json.path("loader").asText("ipxe-rom")),
          json.path("memoryMiB").asInt(),
          json.path("cpus").asInt(1),
          optionalText(json, "bootUrl"));
    } catch (NoSuchFileException e) {
      throw new PowerException(
          PowerException.Kind.CONFIGURATION,
          "the lab has no machine " + directory.getFileName() + " (" + file + " is not there)",
          "make it with m2 lab up, or give the node another bmc",
          e);
    } catch (IllegalArgumentException | com.fasterxml.jackson.core.JsonProcessingException e) {
      throw new PowerException(
          PowerException.Kind.CONFIGURATION,
          file + " is not a machine's definition: " + e.getMessage(),
          "make the machine again with m2 lab up",
          e);
    }
  }

  private ObjectNode toJson() {
    ObjectNode json = JSON.createObjectNode();
    ArrayNode list = json.putArray("nics");
    for (Nic nic : nics) {
      ObjectNode entry = list.addObject().put("mac", nic.mac());
      if (nic.tap() != null) {
        entry.put("tap", nic.tap());
      }
    }
    json.put("firmware", firmware.name().toLowerCase(Locale.ROOT));
    json.put("loader", loader.word());
    json.put("memoryMiB", memoryMiB);
    json.put("cpus", cpus);
    if (bootUrl != null) {
      json.put("bootUrl", bootUrl);
    }
    return json;
  }

  private static String text(JsonNode json, String field) {
    String value = optionalText(json, field);
    if (value == null) {
      throw new IllegalArgumentException(field + " is missing");
    }
    return value;
  }

  private static @Nullable String optionalText(JsonNode json, String field) {
    JsonNode value = json.get(field);
    return value == null || !value.isTextual() ? null : value.textValue();
  }

  private static void require(boolean good, String field, Object value, String remedy) {
    if (!good) {
      throw new IllegalArgumentException(field + ": \"" + value + "\"; " + remedy);
    }
  }
}
