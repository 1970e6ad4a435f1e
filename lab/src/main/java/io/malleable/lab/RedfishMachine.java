package io.malleable.lab;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.malleable.hardware.PowerDriver;
import io.malleable.hardware.PowerState;
import java.io.IOException;
import java.util.List;

/**
 * The ComputerSystem that a BMC of the lab shows (DSP0268, ComputerSystem 1.13), in front of
 * whatever can be switched. Thread-safe.
 */
final class RedfishMachine {
  static final String PATH = "/redfish/v1/Systems/1";
  static final String RESET = PATH + "/Actions/ComputerSystem.Reset";

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final List<String> RESETS =
      List.of("On", "ForceOff", "ForceRestart", "ForceOn", "PowerCycle");
  private static final List<String> TARGETS = List.of("None", "Pxe", "Hdd", "UefiHttp");
  private static final List<String> ENABLED = List.of("Disabled", "Once", "Continuous");
  private static final List<String> MODES = List.of("UEFI", "Legacy");

  /** A request that is refused, with what to tell the client. */
  static final class RefusedException extends Exception {
    private static final long serialVersionUID = 1L;

    RefusedException(String message) {
      super(message);
    }
  }

  private final String name;
  private final PowerDriver driver;
  private final BootSource bootSource;
  private String overrideEnabled = "Disabled";
  private String overrideTarget = "None";
  private String overrideMode = "UEFI";

  /** Tells the machine's firmware where the boot that comes shall be from. */
  interface BootSource {
    /**
     * Called before each power-on.
     *
     * @param target a BootSourceOverrideTarget; {@code None} for the firmware's own order
     */
    void choose(String target) throws IOException;
  }

  RedfishMachine(String name, PowerDriver driver, BootSource bootSource) {
    this.name = name;
    this.driver = driver;
    this.bootSource = bootSource;
  }

  synchronized ObjectNode show() throws IOException {
    ObjectNode system = resource(PATH, "ComputerSystem.v1_13_0.ComputerSystem", "1", name);
    system.put("@odata.etag", etag());
    system.put("SystemType", "Virtual").put("Manufacturer", "M2").put("Model", "Lab");
    system.put("PowerState", driver.state() == PowerState.ON ? "On" : "Off");
    system.putObject("Status").put("State", "Enabled").put("Health", "OK");
    ObjectNode boot = system.putObject("Boot");
    boot.put("BootSourceOverrideEnabled", overrideEnabled);
    boot.put("BootSourceOverrideTarget", overrideTarget);
    boot.put("BootSourceOverrideMode", overrideMode);
    add(boot.putArray("BootSourceOverrideTarget@Redfish.AllowableValues"), TARGETS);
    ObjectNode reset = system.putObject("Actions").putObject("#ComputerSystem.Reset");
    reset.put("target", RESET);
    add(reset.putArray("ResetType@Redfish.AllowableValues"), RESETS);
    return system;
  }

  private String etag() {
    return "W/\""
        + Integer.toHexString((overrideEnabled + overrideTarget + overrideMode).hashCode())
        + "\"";
  }

  synchronized void reset(JsonNode body) throws IOException, RefusedException {
    String type = oneOf(body, "ResetType", RESETS);
    switch (type) {
      case "On", "ForceOn" -> powerOn();
      case "ForceOff" -> driver.off();
      default -> {
        driver.off();
        powerOn();
      }
    }
  }

  /** An override that was meant for one boot is used up by it. */
  private void powerOn() throws IOException {
    bootSource.choose(overrideEnabled.equals("Disabled") ? "None" : overrideTarget);
    driver.on();
    if (overrideEnabled.equals("Once")) {
      overrideEnabled = "Disabled";
      overrideTarget = "None";
    }
  }

  synchronized void patch(JsonNode body) throws RefusedException {
    JsonNode boot = body.path("Boot");
    if (!boot.isObject()) {
      throw new RefusedException("Only Boot can be changed.");
    }
    // All are checked before the first is set, so that a refusal changes nothing.
    String enabled = orElse(boot, "BootSourceOverrideEnabled", ENABLED, overrideEnabled);
    String target = orElse(boot, "BootSourceOverrideTarget", TARGETS, overrideTarget);
    String mode = orElse(boot, "BootSourceOverrideMode", MODES, overrideMode);
    overrideEnabled = enabled;
    overrideTarget = target;
    overrideMode = mode;
  }

  static ObjectNode resource(String path, String type, String id, String name) {
    ObjectNode resource = JSON.createObjectNode();
    resource.put("@odata.id", path).put("@odata.type", "#" + type);
    return resource.put("Id", id).put("Name", name);
  }

  private static String orElse(JsonNode json, String field, List<String> allowed, String otherwise)
      throws RefusedException {
    return json.has(field) ? oneOf(json, field, allowed) : otherwise;
  }

  private static String oneOf(JsonNode json, String field, List<String> allowed)
      throws RefusedException {
    String value = json.path(field).asText();
    if (!allowed.contains(value)) {
      throw new RefusedException(
          "The value '" + value + "' of " + field + " is not one of " + allowed + ".");
    }
    return value;
  }

  private static void add(ArrayNode array, List<String> values) {
    values.forEach(array::add);
  }
}
