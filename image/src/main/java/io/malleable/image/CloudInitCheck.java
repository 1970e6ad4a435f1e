package io.malleable.image;

import java.io.IOException;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Whether cloud-init takes the node's name and keys from the drive labelled CIDATA. */
final class CloudInitCheck {
  private static final int MAX_FILES = 100;

  // No part gives back what it took: a file of newlines would cost the square of its length.
  static final Pattern SOURCES =
      Pattern.compile(
          "(?m)^datasource_list:\\s*+(\\[[^]]{0,1000}+]|(?:-[ \\t]*+\\w++\\s*+){1,50}+)");

  static final Pattern NETWORK_DISABLED =
      Pattern.compile("(?m)^network:\\s*+(?:\\{\\s*+|(?<=[ \\t]))config:\\s*+disabled");

  private final FileSystem files;
  private final List<String> commandLine;
  private final Findings findings;

  CloudInitCheck(FileSystem files, List<String> commandLine, Findings findings) {
    this.files = files;
    this.commandLine = List.copyOf(commandLine);
    this.findings = findings;
  }

  void check() throws IOException {
    boolean isInstalled =
        files.find("/usr/bin/cloud-init").isPresent()
            || files.find("/etc/cloud/cloud.cfg").isPresent();
    if (!isInstalled) {
      findings.note(
          "CLOUD_INIT_MISSING",
          "cloud-init is not installed.",
          "Machines get neither a name nor ssh keys of their own from their identity drive.");
      return;
    }
    checkEnabled();
    checkSettings();
  }

  private void checkEnabled() throws IOException {
    boolean isDisabled =
        files.find("/etc/cloud/cloud-init.disabled").isPresent()
            || commandLine.contains("cloud-init=disabled");
    if (isDisabled) {
      findings.warning(
          "CLOUD_INIT_DISABLED",
          "cloud-init is installed and disabled.",
          "Machines get neither a name nor ssh keys of their own from their identity drive.",
          "rm /etc/cloud/cloud-init.disabled in the image, and no cloud-init=disabled on the"
              + " kernel's command line.");
    }
  }

  /** The last file in the order of names wins. */
  private void checkSettings() throws IOException {
    String text = Inspected.text(files, "/etc/cloud/cloud.cfg");
    String sources = sources(text, "");
    boolean leavesNetwork =
        NETWORK_DISABLED.matcher(text).find() || commandLine.contains("network-config=disabled");
    for (String name :
        files.list("/etc/cloud/cloud.cfg.d").stream()
            .filter(n -> n.endsWith(".cfg"))
            .limit(MAX_FILES)
            .toList()) {
      text = Inspected.text(files, "/etc/cloud/cloud.cfg.d/" + name);
      sources = sources(text, sources);
      leavesNetwork |= NETWORK_DISABLED.matcher(text).find();
    }
    if (!sources.isEmpty() && !sources.contains("NoCloud")) {
      findings.warning(
          "CLOUD_INIT_SOURCE",
          "cloud-init looks only at " + Findings.quoted(sources) + ".",
          "The identity drive is of the kind NoCloud: its name and keys are not used.",
          "Add NoCloud to datasource_list in /etc/cloud/cloud.cfg.d.");
    }
    if (!leavesNetwork) {
      findings.note(
          "CLOUD_INIT_NETWORK",
          "cloud-init may set the network up.",
          "It then writes what the initramfs left about the boot NIC, or a guess, over the image's"
              + " own settings; 'network: {config: disabled}' in /etc/cloud/cloud.cfg.d keeps it off.");
    }
  }

  private static String sources(String text, String before) {
    Matcher matcher = SOURCES.matcher(text);
    return matcher.find() ? matcher.group(1).replaceAll("\\s+", " ").strip() : before;
  }
}
