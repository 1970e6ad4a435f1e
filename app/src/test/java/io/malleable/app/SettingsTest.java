package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class SettingsTest {
  @TempDir private Path directory;

  @Test
  void theDataDirectoryAloneIsEnough() throws BadSettingsException {
    Settings settings = Settings.read(Map.of(Setting.DATA, "/srv/m2"), Map.of(), "");
    assertEquals(Path.of("/srv/m2"), settings.data());
    assertEquals("127.0.0.1:8480", settings.http().toString());
    assertEquals("0.0.0.0:8481", settings.bootHttp().toString());
    assertEquals(List.of(new HostPort("0.0.0.0", 3260)), settings.iscsi());
    assertEquals(Path.of("/srv/m2/lab"), settings.lab());
    assertEquals(256 << 20, settings.storeReserveBytes());
    assertEquals(Duration.ofDays(7), settings.trashRetention());
    assertEquals(Duration.ofSeconds(30), settings.storeFullBusy());
  }

  @Test
  void aFlagWinsOverTheFile() throws Exception {
    Path file = file("data: /srv/a\nhttp: 127.0.0.1:1\niscsi: '[::1]:3260'\n");
    Settings settings =
        Settings.read(
            Map.of(Setting.HTTP, "127.0.0.1:2"), SettingsFile.read(file), file.toString());
    assertEquals(2, settings.http().port());
    assertEquals("[::1]:3260", settings.iscsi().getFirst().toString());
    assertEquals("::1", settings.iscsi().getFirst().host());
  }

  @Test
  void theReserveIsASizeAndTheRetentionANumberOfDays() throws Exception {
    Settings settings =
        Settings.read(
            Map.of(Setting.DATA, "/d", Setting.STORE_RESERVE, "2T", Setting.TRASH_RETENTION, "0"),
            Map.of(),
            "");
    assertEquals(2L << 40, settings.storeReserveBytes());
    assertEquals(Duration.ZERO, settings.trashRetention());
    BadSettingsException e =
        assertThrows(
            BadSettingsException.class,
            () ->
                Settings.read(
                    Map.of(
                        Setting.DATA,
                        "/d",
                        Setting.STORE_RESERVE,
                        "-1G",
                        Setting.TRASH_RETENTION,
                        "soon"),
                    Map.of(),
                    ""));
    assertEquals(
        List.of(
            "--store-reserve: '-1G': use a number and K, M, G or T, such as 2G",
            "--trash-retention: 'soon': give 0 to 3650 days"),
        e.errors());
  }

  @Test
  void writesAreHeldNoLongerThanInitiatorsBear() throws Exception {
    assertEquals(Duration.ZERO, with(Setting.STORE_FULL_BUSY, "0").storeFullBusy());
    assertEquals(Duration.ofSeconds(150), with(Setting.STORE_FULL_BUSY, "150").storeFullBusy());
    for (String wrong : List.of("151", "-1", "30s", "", "99999999999")) {
      refused(
          "--store-full-busy: '" + wrong + "': give 0 to 150 seconds",
          Setting.STORE_FULL_BUSY,
          wrong);
    }
  }

  @Test
  void everythingThatIsWrongIsSaidAtOnce() throws Exception {
    Path file = file("htpp: 1\nhttp: [1, 2]\nlog-level: loud\n");
    BadSettingsException e =
        assertThrows(
            BadSettingsException.class,
            () ->
                Settings.read(
                    Map.of(Setting.BOOT_HTTP, "nowhere"), SettingsFile.read(file), "m2.yaml"));
    String all = String.join("\n", e.errors());
    assertEquals(5, e.errors().size(), all);
    assertTrue(all.contains("m2.yaml: htpp: there is no such key; known are data, http"), all);
    assertTrue(all.contains("m2.yaml: http: give a single value"), all);
    assertTrue(all.contains("m2.yaml: log-level: 'loud': use debug, info, warning or error"), all);
    assertTrue(all.contains("--boot-http: 'nowhere': use HOST:PORT"), all);
    assertTrue(all.contains("--data: name the directory"), all);
  }

  @Test
  void theTargetsListenInSeveralNetworks() throws Exception {
    List<HostPort> both = List.of(new HostPort("10.0.0.1", 3260), new HostPort("::1", 3260));
    assertEquals(both, with(Setting.ISCSI, "10.0.0.1:3260, [::1]:3260").iscsi());
    Path list = file("data: /d\niscsi:\n  - 10.0.0.1:3260\n  - '[::1]:3260'\n");
    assertEquals(both, Settings.read(Map.of(), SettingsFile.read(list), "m2.yaml").iscsi());
    refused(
        "--iscsi: '1.2.3.4:1,1.2.3.4:1': 1.2.3.4:1 is there twice",
        Setting.ISCSI,
        "1.2.3.4:1,1.2.3.4:1");
    refused("0.0.0.0:3260 is every address already", Setting.ISCSI, "10.0.0.1:3260,0.0.0.0:3260");
    refused("use HOST:PORT", Setting.ISCSI, "10.0.0.1:3260,");
    refused("at most 8", Setting.ISCSI, "a:1,b:1,c:1,d:1,e:1,f:1,g:1,h:1,i:1");
    Path wrong = file("data: /d\niscsi: {a: [b]}\n");
    BadSettingsException e =
        assertThrows(
            BadSettingsException.class,
            () -> Settings.read(Map.of(), SettingsFile.read(wrong), "m2.yaml"));
    assertTrue(e.errors().getFirst().contains("iscsi-a"), e.errors()::toString);
    Path nested = file("data: /d\niscsi: [[a]]\n");
    e =
        assertThrows(
            BadSettingsException.class,
            () -> Settings.read(Map.of(), SettingsFile.read(nested), "m2.yaml"));
    assertEquals(List.of("m2.yaml: iscsi: give a value or a list"), e.errors());
  }

  @Test
  void addressesThatCannotBeAreRefused() {
    for (String wrong : List.of("", "8480", "host:", "host:65536", "host:-1", "::1:80", ":80")) {
      assertThrows(SettingException.class, () -> HostPort.parse(wrong), wrong);
    }
  }

  @Test
  void aFileThatIsNotThereOrNotYamlIsRefusedWithItsName() throws IOException {
    BadSettingsException missing =
        assertThrows(
            BadSettingsException.class, () -> SettingsFile.read(directory.resolve("none.yaml")));
    assertTrue(missing.errors().getFirst().contains("none.yaml"), missing.errors()::toString);
    Path broken = file("data: [\n");
    BadSettingsException e =
        assertThrows(BadSettingsException.class, () -> SettingsFile.read(broken));
    assertTrue(e.errors().getFirst().contains("m2.yaml line "), e.errors()::toString);
    Path twice = file("http: a:1\nhttp: b:2\n");
    assertThrows(BadSettingsException.class, () -> SettingsFile.read(twice));
  }

  @Test
  void dhcpHandsOutAPoolOrLeavesAddressesToTheOtherServer() throws Exception {
    Settings server = with(Setting.DHCP, "eth1", Setting.DHCP_POOL, "10.0.0.100-10.0.0.200");
    assertTrue(server.dhcp().orElseThrow().pool().isPresent());
    Settings proxy = with(Setting.DHCP, "eth1", Setting.DHCP_MODE, "proxy");
    assertTrue(proxy.dhcp().orElseThrow().pool().isEmpty());
    assertTrue(with(Setting.DHCP_MODE, "proxy").dhcp().isEmpty(), "off unless asked for");
    refused("--dhcp-pool", Setting.DHCP, "eth1");
    refused("--dhcp-pool", Setting.DHCP, "eth1", Setting.DHCP_POOL, "10.0.0.9-10.0.0.1");
    Settings external = with(Setting.DHCP, "eth1", Setting.DHCP_MODE, "external");
    assertEquals(Settings.DhcpMode.EXTERNAL, external.dhcp().orElseThrow().mode());
    refused("--dhcp-mode", Setting.DHCP, "eth1", Setting.DHCP_MODE, "both");
    refused("--dhcp:", Setting.DHCP, "no such card");
    refused("--tftp", Setting.TFTP, "69");
  }

  @Test
  void networksBehindRelayAgentsAreReadWithWhatTheirMachinesGet() throws Exception {
    Settings.Dhcp dhcp =
        with(
                Setting.DHCP,
                "eth1",
                Setting.DHCP_POOL,
                "10.0.0.100-10.0.0.200",
                Setting.DHCP_ROUTER,
                "10.0.0.254",
                Setting.DHCP_DNS,
                "10.0.0.2, 10.0.0.3",
                Setting.DHCP_RELAYED,
                "10.2.0.0/24,pool=10.2.0.100-10.2.0.200,router=10.2.0.1,dns=10.0.0.2; 10.3.0.0/16")
            .dhcp()
            .orElseThrow();
    assertEquals(List.of("10.0.0.254"), texts(dhcp.routers()));
    assertEquals(List.of("10.0.0.2", "10.0.0.3"), texts(dhcp.dnsServers()));
    assertEquals(2, dhcp.relayed().size());
    assertEquals(List.of("10.2.0.1"), texts(dhcp.relayed().getFirst().routers()));
    assertTrue(dhcp.relayed().getFirst().pool().isPresent());
    assertTrue(dhcp.relayed().getLast().pool().isEmpty(), "only for nodes with an address");
    for (String wrong :
        List.of(
            "10.2.0.0",
            "10.2.0.0/33",
            "10.2.0.0/24,pool=10.9.0.1-10.9.0.2",
            "10.2.0.0/24,gateway=10.2.0.1",
            "10.2.0.0/24,router=gw")) {
      refused(
          "--dhcp-relayed",
          Setting.DHCP,
          "eth1",
          Setting.DHCP_POOL,
          "10.0.0.1-10.0.0.9",
          Setting.DHCP_RELAYED,
          wrong);
    }
    refused(
        "only with --dhcp-mode server",
        Setting.DHCP,
        "eth1",
        Setting.DHCP_MODE,
        "proxy",
        Setting.DHCP_DNS,
        "10.0.0.2");
  }

  private static List<String> texts(List<?> values) {
    return values.stream().map(Object::toString).toList();
  }

  @Test
  void volumesOnCephNeedAllOfTheirSettings() throws Exception {
    Path file =
        file("data: /srv/m2\nstore:\n  rbd: {conf: /etc/ceph/ceph.conf, user: m2, pool: m2}\n");
    Settings settings = Settings.read(Map.of(), SettingsFile.read(file), "m2.yaml");
    assertEquals("m2", settings.rbd().orElseThrow().pool());
    assertEquals(30, settings.rbd().orElseThrow().timeout().toSeconds());
    refused("give all three", Setting.STORE_RBD_POOL, "m2");
  }

  private static Settings with(Object... flags) throws BadSettingsException {
    Map<Setting, String> given = new java.util.EnumMap<>(Setting.class);
    given.put(Setting.DATA, "/srv/m2");
    for (int i = 0; i < flags.length; i += 2) {
      given.put((Setting) flags[i], (String) flags[i + 1]);
    }
    return Settings.read(given, Map.of(), "");
  }

  private static void refused(String part, Object... flags) {
    BadSettingsException e = assertThrows(BadSettingsException.class, () -> with(flags));
    assertTrue(e.errors().getFirst().contains(part), e.errors()::toString);
  }

  @Test
  void anEmptyFileSetsNothing() throws Exception {
    assertEquals(Map.of(), SettingsFile.read(file("")));
    assertEquals(Map.of(), SettingsFile.read(file("# nothing yet\n")));
  }

  @Test
  void everyFlagIsAKeyAndTheReverse() {
    for (Setting setting : Setting.values()) {
      assertEquals("--" + setting.key(), setting.flag());
      assertEquals(setting, Setting.ofKey(setting.key()).orElseThrow());
    }
    List<String> flags =
        ServeCommand.spec().options().stream().map(option -> option.longestName()).toList();
    List<String> keys = Arrays.stream(Setting.values()).map(Setting::flag).toList();
    assertTrue(flags.containsAll(keys), flags::toString);
    assertEquals(keys.size() + 3, flags.size(), "besides: --config, --help, --version");
  }

  private Path file(String content) throws IOException {
    return Files.writeString(directory.resolve("m2.yaml"), content);
  }
}
