package io.malleable.hardware;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A ComputerSystem of a Redfish service. Not for several threads at once. */
final class RedfishSystem implements Bmc {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Duration OVERRIDE_LIMIT = Duration.ofSeconds(10);

  private final BmcAddress.Redfish address;
  private final Firmware firmware;
  private final Credentials credentials;
  private final BmcHttp http;
  private final BmcLimits limits;
  private @Nullable RedfishSession open;
  private @Nullable String path;

  RedfishSystem(
      BmcAddress.Redfish address,
      Firmware firmware,
      Credentials credentials,
      BmcHttp http,
      BmcLimits limits) {
    this.address = address;
    this.firmware = firmware;
    this.credentials = credentials;
    this.http = http;
    this.limits = limits;
    this.path = address.systemPath();
  }

  @Override
  public String name() {
    return address.host() + ":" + address.port();
  }

  @Override
  public PowerState powerState() throws IOException {
    String state = system().path("PowerState").asText();
    return switch (state) {
      case "On", "Paused", "PoweringOff" -> PowerState.ON;
      case "Off", "PoweringOn" -> PowerState.OFF;
      default -> PowerState.UNKNOWN;
    };
  }

  @Override
  public void powerOn() throws IOException {
    reset(List.of("On", "ForceOn", "PushPowerButton"));
  }

  @Override
  public void powerOff() throws IOException {
    reset(List.of("ForceOff"));
  }

  /** ComputerSystem.Reset with the first of these types that the service says it allows. */
  private void reset(List<String> types) throws IOException {
    JsonNode action = system().path("Actions").path("#ComputerSystem.Reset");
    String target = action.path("target").asText();
    if (!target.startsWith("/")) {
      throw refused("the system offers no reset", "check the role of its account");
    }
    List<String> allowed = allowedResetTypes(action);
    String type =
        types.stream()
            .filter(each -> allowed.isEmpty() || allowed.contains(each))
            .findFirst()
            .orElseThrow(
                () -> refused("it allows only the resets " + allowed, "this BMC cannot be used"));
    session().post(target, JSON.createObjectNode().put("ResetType", type), limits.stateChange());
  }

  private List<String> allowedResetTypes(JsonNode action) throws IOException {
    List<String> allowed = texts(action.path("ResetType@Redfish.AllowableValues"));
    String info = action.path("@Redfish.ActionInfo").asText();
    if (allowed.isEmpty() && info.startsWith("/")) {
      for (JsonNode parameter : session().get(info).path("Parameters")) {
        if (parameter.path("Name").asText().equals("ResetType")) {
          allowed = texts(parameter.path("AllowableValues"));
        }
      }
    }
    return allowed;
  }

  @Override
  public void bootFromNetworkOnce() throws IOException {
    JsonNode before = system();
    String target = networkTarget(before.path("Boot"));
    RedfishQuirks quirks = RedfishQuirks.of(session().serviceRoot(), before);
    RedfishAnswer answer = patchBoot(before, target, quirks.sendsBootMode(), quirks.sendsEtag());
    if (answer.complainsAbout("BootSourceOverrideMode")) {
      answer = patchBoot(before, target, !quirks.sendsBootMode(), quirks.sendsEtag());
    } else if (answer.status() == 412 || answer.status() == 428) {
      answer = patchBoot(system(), target, quirks.sendsBootMode(), true);
    }
    session().required(answer);
    if (answer.status() == 202) {
      session().awaitTask(answer, limits.stateChange());
    }
    verifyOverride(target);
  }

  private String networkTarget(JsonNode boot) throws PowerException {
    List<String> allowed = texts(boot.path("BootSourceOverrideTarget@Redfish.AllowableValues"));
    List<String> wanted =
        switch (address.boot()) {
          case PXE -> firmware == Firmware.UEFI ? List.of("Pxe", "UefiHttp") : List.of("Pxe");
          case HTTP -> List.of("UefiHttp");
        };
    return wanted.stream()
        .filter(each -> allowed.isEmpty() || allowed.contains(each))
        .findFirst()
        .orElseThrow(() ->
            refused(
                "it allows only the boot sources " + allowed,
                "set network boot first in the firmware's own boot order"));
  }

  private RedfishAnswer patchBoot(JsonNode system, String target, boolean mode, boolean ifMatch)
      throws IOException {
    ObjectNode body = JSON.createObjectNode();
    ObjectNode boot = body.putObject("Boot");
    boot.put("BootSourceOverrideEnabled", "Once").put("BootSourceOverrideTarget", target);
    if (mode) {
      boot.put("BootSourceOverrideMode", firmware == Firmware.UEFI ? "UEFI" : "Legacy");
    }
    String etag = ifMatch ? system.path("@odata.etag").asText("*") : null;
    return session().patch(systemPath(), body, etag);
  }

  /** Some services show what they accepted only a moment later. */
  private void verifyOverride(String target) throws IOException {
    long deadlineNanos = System.nanoTime() + limit(OVERRIDE_LIMIT).toNanos();
    while (true) {
      JsonNode boot = system().path("Boot");
      String shown = boot.path("BootSourceOverrideTarget").asText();
      String enabled = boot.path("BootSourceOverrideEnabled").asText();
      if (shown.equals(target) && !enabled.equals("Disabled")) {
        return;
      }
      if (System.nanoTime() > deadlineNanos) {
        throw new PowerException(
            PowerException.Kind.NOT_APPLIED,
            "the BMC "
                + name()
                + " accepted boot from "
                + target
                + " but shows "
                + shown
                + " ("
                + enabled
                + ")",
            "set network boot first in the firmware's own boot order");
      }
      RedfishSession.pause(Duration.ofMillis(200));
    }
  }

  private Duration limit(Duration own) {
    return limits.stateChange().compareTo(own) < 0 ? limits.stateChange() : own;
  }

  private JsonNode system() throws IOException {
    return session().get(systemPath());
  }

  /** As the address says, or the only one that the service has. */
  private String systemPath() throws IOException {
    String known = path;
    if (known != null) {
      return known;
    }
    String collection = session().serviceRoot().path("Systems").path("@odata.id").asText();
    List<String> members = new ArrayList<>();
    if (collection.startsWith("/")) {
      for (JsonNode member : session().get(collection).path("Members")) {
        members.add(member.path("@odata.id").asText());
      }
    }
    if (members.size() != 1 || !members.getFirst().startsWith("/")) {
      throw new PowerException(
          PowerException.Kind.CONFIGURATION,
          "the BMC " + name() + " has not one system but " + members,
          "end the node's bmc with the path of its system");
    }
    path = members.getFirst();
    return members.getFirst();
  }

  private RedfishSession session() throws IOException {
    RedfishSession session = open;
    if (session == null) {
      Secret password =
          credentials
              .password(address.user(), address.host())
              .orElseThrow(() ->
                  new PowerException(
                      PowerException.Kind.CONFIGURATION,
                      "there is no password for " + address.user() + "@" + address.host(),
                      "add it to the BMC credentials of the server"));
      session = RedfishSession.open(address, http.client(address), password, limits.call());
      open = session;
    }
    return session;
  }

  @Override
  public void release() {
    RedfishSession session = open;
    open = null;
    if (session != null) {
      session.close();
    }
  }

  @Override
  public void abandon() {
    open = null;
  }

  private PowerException refused(String what, String remedy) {
    return new PowerException(
        PowerException.Kind.REFUSED, "the BMC " + name() + ": " + what, remedy);
  }

  private static List<String> texts(JsonNode array) {
    List<String> texts = new ArrayList<>();
    array.forEach(each -> texts.add(each.asText()));
    return texts;
  }
}
