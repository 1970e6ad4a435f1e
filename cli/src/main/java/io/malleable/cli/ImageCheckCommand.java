package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/** {@code m2 image check}: what would stop an image from booting. */
public final class ImageCheckCommand extends ServerCommand {
  private static final String INDENT = " ".repeat(9);
  private static final int MAX_COLUMNS = 120;
  private static final Pattern PATH = Pattern.compile("[.]{0,2}/");

  private final Argument subject =
      arguments.parameter("IMAGE|FILE", "an image of the server, or an image file of this machine");
  private final Argument firmware =
      arguments.option(
          "--firmware", "FIRMWARE", "bios or uefi: it must boot with that (default: with either)");
  private final Argument format =
      arguments.option(
          "--format", "FORMAT", "of FILE: raw, qcow2, vmdk or vhdx (default: found out)");
  private final Argument image =
      arguments.flag("--image", "it is an image of the server, even if a file has that name");
  private final ImageCheck check;

  /**
   * The command.
   *
   * @param check looks inside files
   */
  public ImageCheckCommand(ImageCheck check) {
    super(
        "Says what would stop an image from booting over the network",
        "",
        "Looks inside without running or mounting anything: loaders for BIOS and UEFI,",
        "kernel, initramfs (open-iscsi, iBFT, NIC drivers), how the system handles its",
        "boot NIC, cloud-init. A FILE that is not raw is unpacked into TMPDIR (default",
        "/tmp) meanwhile. Exit status 1 when something stops it from booting, or when",
        "what decides cannot be looked into.");
    this.check = check;
  }

  @Override
  void check() {
    super.check();
    if (firmware.orNull() != null) {
      firmware.oneOf("bios", "uefi");
    }
    if (format.orNull() != null) {
      format.oneOf("raw", "qcow2", "vmdk", "vhdx");
      if (!isFile()) {
        throw misused("--format belongs to a FILE, and " + subject.text() + " is none");
      }
    }
  }

  /** {@code PROJECT/IMAGE} has a slash as well, so a path that is not there must look like one. */
  private boolean isFile() {
    String text = subject.text();
    return !image.isSet() && (PATH.matcher(text).lookingAt() || Files.isRegularFile(Path.of(text)));
  }

  @Override
  protected void run() {
    String name = (isFile() ? "file " : "image ") + subject.text();
    JsonNode report = isFile() ? ofFile() : ofServer();
    if (wantsJson()) {
      printJson(report);
    } else {
      print(name, report);
    }
    out().flush();
    String verdict = report.path("verdict").asText();
    if (verdict.equals("blocked")) {
      throw new CommandFailure(name + " does not boot this way, see above");
    }
    if (!verdict.equals("boots")) {
      throw new CommandFailure("whether " + name + " boots is not known, see above");
    }
  }

  private JsonNode ofServer() {
    String wanted = firmware.orNull();
    return wanted == null
        ? api().post(null, "/v1/images/{}/check", subject.text()).body()
        : api().post(null, "/v1/images/{}/check?firmware={}", subject.text(), wanted).body();
  }

  private JsonNode ofFile() {
    Path file = Path.of(subject.text());
    Path scratch = Path.of(terminal().environment().getOrDefault("TMPDIR", "/tmp"));
    ImageCheck.Question question =
        new ImageCheck.Question(
            file,
            Optional.ofNullable(format.orNull()),
            Optional.ofNullable(firmware.orNull()),
            scratch);
    try (ProgressLine line = new ProgressLine(terminal(), err(), "unpack " + file)) {
      return json(
          check.check(
              question, (done, total) -> line.show(total == 0 ? 1 : (double) done / total, "")));
    } catch (IOException e) {
      throw new CommandFailure(
          "the file " + file + " cannot be checked: " + Failures.reason(e),
          "Check that it can be read, and that " + scratch + " has room for its content.",
          e);
    }
  }

  private JsonNode json(ImageCheck.Report report) {
    ObjectNode json = api().object().put("verdict", report.verdict());
    ArrayNode loaders = json.putArray("firmware");
    report.firmware().forEach(loaders::add);
    putUnlessEmpty(json, "system", report.system());
    putUnlessEmpty(json, "kernel", report.kernel());
    ArrayNode findings = json.putArray("findings");
    for (ImageCheck.Finding finding : report.findings()) {
      ObjectNode one =
          findings
              .addObject()
              .put("severity", finding.severity())
              .put("code", finding.code())
              .put("what", finding.what())
              .put("why", finding.why());
      putUnlessEmpty(one, "fix", finding.fix());
    }
    return json;
  }

  private static void putUnlessEmpty(ObjectNode json, String field, String text) {
    if (!text.isEmpty()) {
      json.put(field, text);
    }
  }

  private void print(String name, JsonNode report) {
    List<String> facts = new ArrayList<>();
    List<String> loaders = new ArrayList<>();
    report.path("firmware").forEach(one -> loaders.add(Table.cell(one)));
    facts.add(loaders.isEmpty() ? "no loader" : "loaders for " + String.join(" and ", loaders));
    if (report.hasNonNull("system")) {
      facts.add(Table.cell(report.path("system")));
    }
    if (report.hasNonNull("kernel")) {
      facts.add("Linux " + Table.cell(report.path("kernel")));
    }
    String verdict =
        switch (report.path("verdict").asText()) {
          case "boots" -> "nothing found that would stop it from booting";
          case "blocked" -> "does not boot this way";
          default -> "not everything could be looked into";
        };
    out().println(name + ": " + verdict);
    out().println("  " + String.join(", ", facts));
    for (JsonNode finding : report.path("findings")) {
      out().println();
      wrap(
          "%-9s".formatted(Table.cell(finding.path("severity")))
              + Table.cell(finding.path("what")));
      wrap(INDENT + Table.cell(finding.path("why")));
      if (finding.hasNonNull("fix")) {
        wrap(INDENT + "Fix: " + Table.cell(finding.path("fix")));
      }
    }
  }

  /** Breaks at spaces; what continues is indented. */
  private void wrap(String text) {
    int width = Math.min(terminal().columns(), MAX_COLUMNS);
    String rest = text;
    while (rest.length() > width) {
      int at = rest.lastIndexOf(' ', width);
      if (at <= INDENT.length()) {
        break;
      }
      out().println(rest.substring(0, at));
      rest = INDENT + rest.substring(at + 1);
    }
    out().println(rest);
  }
}
