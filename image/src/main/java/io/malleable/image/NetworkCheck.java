package io.malleable.image;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Whether the running system leaves the NIC alone that its drive is behind. Each network manager
 * has its own way of being told so.
 */
final class NetworkCheck {
  private static final int MAX_FILES = 100;
  private static final int MAX_TARGETS = 200;

  private static final List<String> NETWORKD_DIRECTORIES =
      List.of("/etc/systemd/network", "/usr/lib/systemd/network", "/lib/systemd/network");

  // Nothing here may match beyond its line, or give back what it took: files of newlines or blanks
  // would cost the square of their length.
  static final Pattern INTERFACE =
      Pattern.compile("(?m)^[ \\t]*+iface[ \\t]++(\\S+)[ \\t]++inet6?[ \\t]++(dhcp|static|auto)");
  static final Pattern STARTED = Pattern.compile("(?m)^[ \\t]*+(?:auto|allow-\\w+)[ \\t]+(.+)$");
  static final Pattern NETPLAN_ADDRESS =
      Pattern.compile("(?m)^[ \\t]*+(dhcp4:[ \\t]*+(true|yes|on)|addresses:)");
  static final Pattern NETPLAN_CRITICAL =
      Pattern.compile("(?m)^[ \\t]*+critical:[ \\t]*+(true|yes|on)");
  static final Pattern NETWORKD_ADDRESS =
      Pattern.compile("(?mi)^[ \\t]*+(DHCP=(yes|true|1|ipv4)|Address=)");
  static final Pattern NETWORKD_KEEPS =
      Pattern.compile(
          "(?mi)^[ \\t]*+(KeepConfiguration=(yes|true|1|dhcp.*|static)|(CriticalConnection|Unmanaged)=(yes|true|1))");
  static final Pattern NETPLAN_NETWORK_MANAGER =
      Pattern.compile("(?m)^[ \\t]*+renderer:[ \\t]*+NetworkManager");
  static final Pattern NETWORKD_OTHER_LINK =
      Pattern.compile(
          "(?m)^[ \\t]*+(?:(?:Kind|WLANInterfaceType|SSID)=|Virtualization=(?!no|!)|Type=(?!ether))");
  static final Pattern NETWORKD_NAME = Pattern.compile("(?m)^[ \\t]*+Name=(.+)$");
  static final Pattern NETWORK_MANAGER_DROPS =
      Pattern.compile("(?mi)^[ \\t]*+keep-configuration[ \\t]*+=[ \\t]*+(no|false|0)");
  private static final String WHY =
      "Taking this NIC down or giving it another address cuts the running system off from its drive.";

  private final FileSystem files;
  private final Findings findings;

  NetworkCheck(FileSystem files, Findings findings) {
    this.files = files;
    this.findings = findings;
  }

  void check() throws IOException {
    checkIfupdown();
    checkNetplan();
    checkNetworkd();
    checkNetworkManager();
  }

  private boolean exists(String path) throws IOException {
    return files.find(path).isPresent();
  }

  /** Whether systemd starts a unit: some target wants it. */
  static boolean isEnabled(FileSystem files, String unit) throws IOException {
    for (String directory :
        List.of("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")) {
      for (String name :
          files.list(directory).stream()
              .filter(n -> n.endsWith(".wants"))
              .limit(MAX_TARGETS)
              .toList()) {
        if (files.list(directory + "/" + name).contains(unit)) {
          return true;
        }
      }
    }
    return false;
  }

  private String all(String directory, String suffix) throws IOException {
    StringBuilder text = new StringBuilder();
    for (String name :
        files.list(directory).stream().filter(n -> n.endsWith(suffix)).limit(MAX_FILES).toList()) {
      text.append(Inspected.text(files, directory + "/" + name)).append('\n');
      if (text.length() > Inspected.MAX_TEXT_BYTES) {
        break;
      }
    }
    return text.toString();
  }

  private void checkIfupdown() throws IOException {
    if (!exists("/sbin/ifup") && !exists("/usr/sbin/ifup")) {
      return;
    }
    String text =
        Inspected.text(files, "/etc/network/interfaces")
            + "\n"
            + all("/etc/network/interfaces.d", "");
    Set<String> started = new TreeSet<>();
    Matcher automatic = STARTED.matcher(text);
    while (automatic.find()) {
      started.addAll(ShellWords.split(automatic.group(1)));
    }
    List<String> configured = new ArrayList<>();
    Matcher matcher = INTERFACE.matcher(text);
    while (matcher.find() && configured.size() < MAX_FILES) {
      if (!matcher.group(1).equals("lo") && started.contains(matcher.group(1))) {
        configured.add(matcher.group(1) + " by " + matcher.group(2));
      }
    }
    // Debian's open-iscsi takes the boot NIC away from ifupdown by a rule of udev.
    boolean hasHandler =
        exists("/lib/udev/rules.d/70-iscsi-network-interface.rules")
            && exists("/lib/open-iscsi/net-interface-handler");
    if (!configured.isEmpty() && !hasHandler) {
      findings.warning(
          "NIC_RECONFIGURED",
          "ifupdown configures " + Findings.quoted(String.join(", ", configured)) + ".",
          WHY + " At shutdown it is taken down before the drive is unmounted.",
          "Say 'iface NAME inet manual' in /etc/network/interfaces, or install open-iscsi, which"
              + " keeps ifupdown away from the boot NIC.");
    }
  }

  private void checkNetplan() throws IOException {
    String text = all("/etc/netplan", ".yaml");
    if (NETPLAN_ADDRESS.matcher(text).find()
        && !NETPLAN_CRITICAL.matcher(text).find()
        && !NETPLAN_NETWORK_MANAGER.matcher(text).find()) {
      findings.warning(
          "NIC_RECONFIGURED",
          "netplan configures an Ethernet card without 'critical: true'.",
          WHY,
          "Add 'critical: true' and 'dhcp-identifier: mac' to it in /etc/netplan.");
    }
  }

  private void checkNetworkd() throws IOException {
    if (!isEnabled(files, "systemd-networkd.service")) {
      return;
    }
    Set<String> seen = new HashSet<>();
    for (String directory : NETWORKD_DIRECTORIES) {
      for (String name :
          files.list(directory).stream()
              .filter(n -> n.endsWith(".network"))
              .limit(MAX_FILES)
              .toList()) {
        // A file in /etc hides the distribution's of the same name.
        if (seen.add(name)) {
          checkNetworkd(directory, name);
        }
      }
    }
  }

  private void checkNetworkd(String directory, String name) throws IOException {
    String text = Inspected.text(files, directory + "/" + name);
    // A drop-in may add what the file leaves out.
    String whole = text + "\n" + all("/etc/systemd/network/" + name + ".d", ".conf");
    if (isForEthernet(text)
        && NETWORKD_ADDRESS.matcher(whole).find()
        && !NETWORKD_KEEPS.matcher(whole).find()) {
      findings.warning(
          "NIC_RECONFIGURED",
          "systemd-networkd configures Ethernet cards by %s without KeepConfiguration=."
              .formatted(Findings.quoted(directory + "/" + name)),
          WHY,
          "Add to its section [Network]: KeepConfiguration=yes, and to [DHCPv4]:"
              + " ClientIdentifier=mac.");
    }
  }

  /** Whether a {@code .network} file may be meant for the NIC of a server. */
  private static boolean isForEthernet(String text) {
    if (NETWORKD_OTHER_LINK.matcher(text).find()) {
      return false;
    }
    Matcher names = NETWORKD_NAME.matcher(text);
    return !names.find() || names.group(1).matches("(?s).*(^|\\s)(!|\\*|e).*");
  }

  private void checkNetworkManager() throws IOException {
    if (!isEnabled(files, "NetworkManager.service")) {
      return;
    }
    String text =
        Inspected.text(files, "/etc/NetworkManager/NetworkManager.conf")
            + "\n"
            + all("/etc/NetworkManager/conf.d", ".conf");
    if (NETWORK_MANAGER_DROPS.matcher(text).find()) {
      findings.warning(
          "NIC_RECONFIGURED",
          "NetworkManager is told not to keep what the initramfs configured.",
          WHY,
          "Remove keep-configuration=no from /etc/NetworkManager, or say unmanaged-devices=mac:...");
    } else {
      findings.note(
          "NETWORK_MANAGER",
          "NetworkManager manages the network.",
          "It keeps the boot NIC as it is while no connection profile of the image says otherwise.");
    }
  }
}
