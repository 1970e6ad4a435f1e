package io.malleable.app;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;

/** Every setting of {@code m2 serve}: its name is the flag and the key of the file. */
enum Setting {
  DATA("DIR", "", "Everything the server keeps. Needed."),
  HTTP(
      "HOST:PORT",
      "127.0.0.1:8480",
      "Listener of the API; default 127.0.0.1:8480. Port 0 takes a free one, see DIR/run.json."),
  BOOT_HTTP(
      "HOST:PORT", "0.0.0.0:8481", "What machines reach while booting; default 0.0.0.0:8481."),
  ISCSI(
      "HOST:PORT",
      "0.0.0.0:3260",
      "Listener of the targets; default 0.0.0.0:3260. Once for each storage network, the first one"
          + " for machines that are in none of them."),
  ADVERTISE(
      "HOST",
      "",
      "Address for boot scripts; default is the one by which the machine reached the server."),
  LAB("DIR", "", "Virtual machines; default is lab below the data directory."),
  QEMU_USER("USER", "", "Account of the lab's machines when the server runs as root."),
  BMC_CREDENTIALS(
      "FILE",
      "",
      "Passwords of BMCs, lines 'USER@HOST PASSWORD', mode 0600; default DIR/bmc-credentials."),
  BMC_CERTIFICATES("FILE", "", "PEM file of the authorities that signed the BMCs' certificates."),
  SSH_KEYS(
      "FILE",
      "",
      "Public keys, one a line, that may log in to every node, beside those of the node itself."),
  LOADERS("DIR", "", "Boot loaders; default is where the package ipxe puts them."),
  DHCP("IFACE", "", "Answer DHCP on this interface; off unless asked for."),
  DHCP_MODE(
      "MODE",
      "server",
      "server (hands out addresses, the default), proxy (adds the boot file beside another DHCP"
          + " server) or external (prints the settings for the other server)."),
  DHCP_POOL("FIRST-LAST", "", "Addresses for machines, such as 10.0.0.100-10.0.0.200."),
  DHCP_ROUTER("ADDRESS,...", "", "Routers that machines on the interface's network are told of."),
  DHCP_DNS("ADDRESS,...", "", "Name servers that they are told of."),
  DHCP_RELAYED(
      "NETWORK;...",
      "",
      "Networks behind relay agents: 10.2.0.0/24,pool=10.2.0.100-10.2.0.200,router=10.2.0.1;..."),
  TFTP("HOST:PORT", "", "Serve boot loaders by TFTP, usually ADDRESS:69; off unless asked for."),
  STORE_RESERVE(
      "SIZE",
      "256M",
      "Disks and images do not grow when less than this is left below the data directory; default"
          + " 256M."),
  STORE_FULL_BUSY(
      "SECONDS",
      "30",
      "How long machines' writes are held when the store has no room, before they fail; 0 to 150,"
          + " default 30."),
  TRASH_RETENTION(
      "DAYS", "7", "How long a deleted disk can be brought back, 0 to 3650 days; default 7."),
  STORE_RBD_CONF(
      "FILE", "", "Keep volumes on Ceph RBD: Ceph's configuration file, with the keyring."),
  STORE_RBD_USER("USER", "", "Ceph user, without 'client.'."),
  STORE_RBD_POOL("POOL", "", "Pool of the volumes."),
  STORE_RBD_TIMEOUT("SECONDS", "30", "How long one request to Ceph may take; default 30."),
  LOG_LEVEL("LEVEL", "info", "debug, info, warning or error; default info.");

  private final String label;
  private final String otherwise;
  private final String help;

  Setting(String label, String otherwise, String help) {
    this.label = label;
    this.otherwise = otherwise;
    this.help = help;
  }

  String key() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  String flag() {
    return "--" + key();
  }

  String label() {
    return label;
  }

  String help() {
    return help;
  }

  /** Whether it may be given several times, which is the same as its values joined by commas. */
  boolean repeatable() {
    return this == ISCSI;
  }

  /** What it is when nobody says. */
  Optional<String> otherwise() {
    return otherwise.isEmpty() ? Optional.empty() : Optional.of(otherwise);
  }

  static Optional<Setting> ofKey(String key) {
    return Arrays.stream(values()).filter(setting -> setting.key().equals(key)).findFirst();
  }
}
