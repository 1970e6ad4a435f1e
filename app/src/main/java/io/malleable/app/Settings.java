package io.malleable.app;

import io.malleable.iscsi.IscsiServerConfig;
import io.malleable.netboot.DhcpSubnet;
import io.malleable.netboot.Ipv4;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The settings of {@code m2 serve}. Each has one name, which is its flag and its key in the
 * configuration file; a flag wins.
 *
 * @param data directory of everything the server keeps
 * @param http listener of the API
 * @param bootHttp listener for booting machines
 * @param iscsi listeners of the targets, each in a network of its own
 * @param advertise host name or address by which machines reach this server, where it is not the
 *     one that they used
 * @param lab directory of the lab's machines
 * @param qemuUser account of the lab's machines when the server is root
 * @param bmcCredentials file with the passwords of BMCs
 * @param bmcCertificates PEM file with the authorities that signed BMCs' certificates
 * @param sshKeys file with the public keys of those who may log in to every node
 * @param loaders directory of the boot loaders
 * @param dhcp whether to answer DHCP
 * @param tftp listener for boot loaders
 * @param storeReserveBytes what growth leaves free on the file system of the data directory
 * @param storeFullBusy how long machines' writes are held when the store has no room
 * @param trashRetention how long a deleted disk can be brought back
 * @param rbd where volumes are kept; absent means below the data directory
 * @param logLevel least level that is logged
 */
record Settings(
    Path data,
    HostPort http,
    HostPort bootHttp,
    List<HostPort> iscsi,
    Optional<String> advertise,
    Path lab,
    Optional<String> qemuUser,
    Optional<Path> bmcCredentials,
    Optional<Path> bmcCertificates,
    Optional<Path> sshKeys,
    Optional<Path> loaders,
    Optional<Dhcp> dhcp,
    Optional<HostPort> tftp,
    long storeReserveBytes,
    Duration storeFullBusy,
    Duration trashRetention,
    Optional<Rbd> rbd,
    LogLevel logLevel) {
  /**
   * DHCP on one interface.
   *
   * @param pool what to hand out; only in server mode
   * @param relayed networks whose relay agents ask us
   */
  record Dhcp(
      String interfaceName,
      DhcpMode mode,
      Optional<DhcpSubnet.Range> pool,
      List<Ipv4> routers,
      List<Ipv4> dnsServers,
      List<DhcpSubnet> relayed) {}

  /** Who hands out addresses, and who says what to boot. */
  enum DhcpMode {
    /** We do both. */
    SERVER,
    /** Another server and we. */
    PROXY,
    /** Another server does both, as we tell its operator. */
    EXTERNAL
  }

  private static final int MAX_PER_NETWORK = 8;
  private static final int MAX_PORTALS = 8;

  /** Volumes on Ceph RBD instead of in the data directory. */
  record Rbd(Path conf, String user, String pool, Duration timeout) {}

  /** Least level that is logged. */
  enum LogLevel {
    DEBUG,
    INFO,
    WARNING,
    ERROR
  }

  /**
   * Reads all settings.
   *
   * @param flags values from the command line
   * @param file values from the configuration file by key, and {@code fileName} for messages
   * @throws BadSettingsException with everything that is wrong
   */
  static Settings read(Map<Setting, String> flags, Map<String, Object> file, String fileName)
      throws BadSettingsException {
    Reader reader = new Reader(flags, file, fileName);
    reader.checkKeys();
    Path data = reader.value(Setting.DATA, Settings::path).orElse(null);
    if (data == null && reader.errors.stream().noneMatch(e -> e.contains("data: "))) {
      reader.errors.add(
          "--data: name the directory of the server's data, such as --data /var/lib/m2");
    }
    HostPort http = reader.value(Setting.HTTP, HostPort::parse).orElse(null);
    HostPort bootHttp = reader.value(Setting.BOOT_HTTP, HostPort::parse).orElse(null);
    List<HostPort> iscsi = reader.value(Setting.ISCSI, Settings::portals).orElse(null);
    Optional<String> advertise = reader.value(Setting.ADVERTISE, Settings::host);
    Optional<Path> lab = reader.value(Setting.LAB, Settings::path);
    Optional<String> qemuUser = reader.value(Setting.QEMU_USER, text -> text);
    Optional<Path> bmcCredentials = reader.value(Setting.BMC_CREDENTIALS, Settings::path);
    Optional<Path> bmcCertificates = reader.value(Setting.BMC_CERTIFICATES, Settings::path);
    Optional<Path> sshKeys = reader.value(Setting.SSH_KEYS, Settings::path);
    Optional<Path> loaders = reader.value(Setting.LOADERS, Settings::path);
    Optional<Dhcp> dhcp = dhcp(reader);
    Optional<HostPort> tftp = reader.value(Setting.TFTP, HostPort::parse);
    Long reserveBytes = reader.value(Setting.STORE_RESERVE, Settings::bytes).orElse(null);
    Duration storeFullBusy = reader.value(Setting.STORE_FULL_BUSY, Settings::busy).orElse(null);
    Duration trashRetention = reader.value(Setting.TRASH_RETENTION, Settings::days).orElse(null);
    Optional<Rbd> rbd = rbd(reader);
    LogLevel logLevel = reader.value(Setting.LOG_LEVEL, Settings::logLevel).orElse(null);
    if (!reader.errors.isEmpty()
        || data == null
        || http == null
        || bootHttp == null
        || iscsi == null
        || reserveBytes == null
        || storeFullBusy == null
        || trashRetention == null
        || logLevel == null) {
      throw new BadSettingsException(reader.errors);
    }
    return new Settings(
        data,
        http,
        bootHttp,
        iscsi,
        advertise,
        lab.orElse(data.resolve("lab")),
        qemuUser,
        bmcCredentials,
        bmcCertificates,
        sshKeys,
        loaders,
        dhcp,
        tftp,
        reserveBytes,
        storeFullBusy,
        trashRetention,
        rbd,
        logLevel);
  }

  private interface Parser<T> {
    T parse(String text) throws SettingException;
  }

  /** Collects what is wrong, so that all of it is said at once. */
  private static final class Reader {
    final List<String> errors = new ArrayList<>();
    private final Map<Setting, String> flags;
    private final Map<String, Object> file;
    private final String fileName;

    Reader(Map<Setting, String> flags, Map<String, Object> file, String fileName) {
      this.flags = flags;
      this.file = file;
      this.fileName = fileName;
    }

    void checkKeys() {
      for (String key : file.keySet()) {
        if (Setting.ofKey(key).isEmpty()) {
          String known =
              Arrays.stream(Setting.values()).map(Setting::key).collect(Collectors.joining(", "));
          errors.add(fileName + ": " + key + ": there is no such key; known are " + known);
        }
      }
    }

    /** As it would be given by flags; null where it cannot be. */
    private static @Nullable String text(Setting setting, @Nullable Object value) {
      List<?> values =
          setting.repeatable() && value instanceof List<?> several
              ? several
              : Collections.singletonList(value);
      boolean single = values.stream().allMatch(v -> v instanceof String || v instanceof Number);
      return single ? values.stream().map(Object::toString).collect(Collectors.joining(",")) : null;
    }

    <T> Optional<T> value(Setting setting, Parser<T> parser) {
      String text = flags.get(setting);
      String where = setting.flag();
      if (text == null && file.containsKey(setting.key())) {
        where = fileName + ": " + setting.key();
        Object value = file.get(setting.key());
        text = text(setting, value);
        if (text == null) {
          errors.add(
              where
                  + (setting.repeatable() ? ": give a value or a list" : ": give a single value"));
          return Optional.empty();
        }
      }
      if (text == null) {
        text = setting.otherwise().orElse(null);
      }
      if (text == null) {
        return Optional.empty();
      }
      try {
        return Optional.of(parser.parse(text));
      } catch (SettingException e) {
        errors.add(where + ": '" + text + "': " + e.getMessage());
        return Optional.empty();
      }
    }
  }

  private static Optional<Dhcp> dhcp(Reader reader) {
    Optional<String> card = reader.value(Setting.DHCP, Settings::card);
    Optional<DhcpMode> mode = reader.value(Setting.DHCP_MODE, Settings::dhcpMode);
    Optional<DhcpSubnet.Range> pool =
        reader.value(Setting.DHCP_POOL, text -> legal(() -> DhcpSubnet.Range.read(text)));
    List<Ipv4> routers = reader.value(Setting.DHCP_ROUTER, Settings::ipv4s).orElse(List.of());
    List<Ipv4> dnsServers = reader.value(Setting.DHCP_DNS, Settings::ipv4s).orElse(List.of());
    List<DhcpSubnet> relayed =
        reader.value(Setting.DHCP_RELAYED, Settings::subnets).orElse(List.of());
    if (card.isEmpty() || mode.isEmpty()) {
      return Optional.empty();
    }
    boolean serves = mode.get() == DhcpMode.SERVER;
    if (serves != pool.isPresent() && reader.errors.isEmpty()) {
      reader.errors.add(
          pool.isPresent()
              ? "--dhcp-pool: leave it out with --dhcp-mode proxy or external: the other server"
                  + " hands out addresses"
              : "--dhcp-pool: name the addresses to hand out, such as 10.0.0.100-10.0.0.200");
    }
    if (!serves && !(routers.isEmpty() && dnsServers.isEmpty() && relayed.isEmpty())) {
      reader.errors.add(
          "--dhcp-router, --dhcp-dns, --dhcp-relayed: only with --dhcp-mode server; else the other"
              + " server tells machines of them");
    }
    return Optional.of(new Dhcp(card.get(), mode.get(), pool, routers, dnsServers, relayed));
  }

  private static List<HostPort> portals(String text) throws SettingException {
    List<HostPort> portals = new ArrayList<>();
    for (String each : text.split(",", -1)) {
      HostPort portal = HostPort.parse(each.strip());
      if (portals.contains(portal)) {
        throw new SettingException(portal + " is there twice; name each address once");
      }
      portals.add(portal);
    }
    if (portals.size() > MAX_PORTALS) {
      throw new SettingException("give at most " + MAX_PORTALS + " addresses");
    }
    for (HostPort portal : portals) {
      if (portal.isEverywhere()
          && portals.stream().anyMatch(p -> !p.equals(portal) && p.port() == portal.port())) {
        throw new SettingException(
            portal + " is every address already; leave it out, or the others");
      }
    }
    return List.copyOf(portals);
  }

  private static String card(String text) throws SettingException {
    if (text.matches("[A-Za-z0-9_.-]{1,15}")) {
      return text;
    }
    throw new SettingException("name a network interface, such as eth1");
  }

  private static DhcpMode dhcpMode(String text) throws SettingException {
    for (DhcpMode mode : DhcpMode.values()) {
      if (mode.name().toLowerCase(Locale.ROOT).equals(text)) {
        return mode;
      }
    }
    throw new SettingException("use server, proxy or external");
  }

  private static List<Ipv4> ipv4s(String text) throws SettingException {
    List<Ipv4> addresses = new ArrayList<>();
    for (String each : text.split(",", -1)) {
      addresses.add(legal(() -> Ipv4.read(each.strip())));
    }
    if (addresses.size() > MAX_PER_NETWORK) {
      throw new SettingException("give at most " + MAX_PER_NETWORK);
    }
    return addresses;
  }

  private static List<DhcpSubnet> subnets(String text) throws SettingException {
    List<DhcpSubnet> subnets = new ArrayList<>();
    for (String each : text.split(";", -1)) {
      subnets.add(legal(() -> DhcpSubnet.read(each.strip())));
    }
    return subnets;
  }

  /** What a reader of another room finds wrong is said as ours. */
  private static <T> T legal(Supplier<T> reading) throws SettingException {
    try {
      return reading.get();
    } catch (IllegalArgumentException e) {
      throw new SettingException(String.valueOf(e.getMessage()));
    }
  }

  private static Optional<Rbd> rbd(Reader reader) {
    Optional<Path> conf = reader.value(Setting.STORE_RBD_CONF, Settings::path);
    Optional<String> user = reader.value(Setting.STORE_RBD_USER, Settings::word);
    Optional<String> pool = reader.value(Setting.STORE_RBD_POOL, Settings::word);
    Optional<Integer> seconds = reader.value(Setting.STORE_RBD_TIMEOUT, Settings::seconds);
    if (conf.isPresent() && user.isPresent() && pool.isPresent() && seconds.isPresent()) {
      return Optional.of(
          new Rbd(conf.get(), user.get(), pool.get(), Duration.ofSeconds(seconds.get())));
    }
    if (conf.isPresent() || user.isPresent() || pool.isPresent()) {
      reader.errors.add(
          "--store-rbd-conf, --store-rbd-user, --store-rbd-pool: give all three, or none to keep"
              + " volumes in the data directory");
    }
    return Optional.empty();
  }

  private static String word(String text) throws SettingException {
    if (text.matches("[A-Za-z0-9][A-Za-z0-9._-]{0,99}")) {
      return text;
    }
    throw new SettingException("use letters, digits, '.', '_' and '-'");
  }

  private static int seconds(String text) throws SettingException {
    if (text.matches("[0-9]{1,3}") && Integer.parseInt(text) > 0) {
      return Integer.parseInt(text);
    }
    throw new SettingException("give 1 to 999 seconds");
  }

  private static long bytes(String text) throws SettingException {
    if (text.matches("[0-9]{1,6}[KMGT]")) {
      int shift = 10 * (1 + "KMGT".indexOf(text.charAt(text.length() - 1)));
      return Long.parseLong(text.substring(0, text.length() - 1)) << shift;
    }
    throw new SettingException("use a number and K, M, G or T, such as 2G");
  }

  private static Duration busy(String text) throws SettingException {
    long most = IscsiServerConfig.MAX_STORE_FULL_BUSY.toSeconds();
    if (text.matches("[0-9]{1,3}") && Long.parseLong(text) <= most) {
      return Duration.ofSeconds(Long.parseLong(text));
    }
    throw new SettingException(
        "give 0 to " + most + " seconds: Linux gives up what is held for 180; 0 holds nothing");
  }

  private static Duration days(String text) throws SettingException {
    if (text.matches("[0-9]{1,4}") && Integer.parseInt(text) <= 3650) {
      return Duration.ofDays(Integer.parseInt(text));
    }
    throw new SettingException("give 0 to 3650 days");
  }

  private static Path path(String text) throws SettingException {
    try {
      if (!text.isBlank()) {
        return Path.of(text).toAbsolutePath().normalize();
      }
    } catch (InvalidPathException e) {
      // Said below.
    }
    throw new SettingException("name a path");
  }

  private static String host(String text) throws SettingException {
    if (!text.matches("[A-Za-z0-9][A-Za-z0-9.-]{0,252}|[0-9a-fA-F:.]{2,45}")) {
      throw new SettingException("give a host name or an address without a port");
    }
    return text;
  }

  private static LogLevel logLevel(String text) throws SettingException {
    for (LogLevel level : LogLevel.values()) {
      if (level.name().equalsIgnoreCase(text)) {
        return level;
      }
    }
    throw new SettingException("use debug, info, warning or error");
  }
}
