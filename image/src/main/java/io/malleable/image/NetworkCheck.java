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
  private static final Pattern INTERFACE =
      Pattern.compile("(?m)^\\s*iface\\s+(\\S+)\\s+inet6?\\s+(dhcp|static|auto)");
  private static final Pattern STARTED =
      Pattern.compile("(?m)^\\s*(?:auto|allow-\\w+)[ \\t]+(.+)$");
  private static final Pattern NETPLAN_ADDRESS =
      Pattern.compile("(?m)^\\s*(dhcp4:\\s*(true|yes|on)|addresses:)");
  private static final Pattern NETPLAN_CRITICAL =
      Pattern.compile("(?m)^\\s*critical:\\s*(true|yes|on)");
  private static final List<String> NETWORKD_DIRECTORIES =
      List.of("/etc/systemd/network", "/usr/lib/systemd/network", "/lib/systemd/network");
  private static final Pattern NETWORKD_ADDRESS =
      Pattern.compile("(?mi)^\\s*(DHCP=(yes|true|1|ipv4)|Address=)");
  private static final Pattern NETWORKD_KEEPS =
      Pattern.compile(
          "(?mi)^\\s*(KeepConfiguration=(yes|true|1|dhcp.*|static)|(CriticalConnection|Unmanaged)=(yes|true|1))");
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
      for (String name : files.list(directory)) {
        if (name.endsWith(".wants") && files.list(directory + "/" + name).contains(unit)) {
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
    boolean usesNetworkManager =
        Pattern.compile("(?m)^\\s*renderer:\\s*NetworkManager").matcher(text).find();
    if (NETPLAN_ADDRESS.matcher(text).find()
        && !NETPLAN_CRITICAL.matcher(text).find()
        && !usesNetworkManager) {
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
    if (Pattern.compile("(?m)^\\s*(Kind|WLANInterfaceType|SSID)=").matcher(text).find()
        || Pattern.compile("(?m)^\\s*Virtualization=(?!no|!)").matcher(text).find()
        || Pattern.compile("(?m)^\\s*Type=(?!ether)").matcher(text).find()) {
      return false;
    }
    Matcher names = Pattern.compile("(?m)^\\s*Name=(.+)$").matcher(text);
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
    if (Pattern.compile("(?mi)^\\s*keep-configuration\\s*=\\s*(no|false|0)").matcher(text).find()) {
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
