package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.malleable.cli.ApiClient;
import io.malleable.cli.Endpoint;
import io.malleable.hardware.Firmware;
import io.malleable.lab.LabMachines;
import io.malleable.lab.TinyImage;
import io.malleable.volume.VolumeStore;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.Map;
import java.util.UUID;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A real machine lives on while the host of its server goes down, and must not go on. */
final class HostCrashBootTest {
  private static final Duration LIMIT = Duration.ofMinutes(5);
  private static final String NODE = "survivor";
  private static final int REFUSED_LOGINS = 3;

  private Path base;
  private @Nullable Guest machine;

  @BeforeEach
  void prepare() throws Exception {
    base = Files.createTempDirectory("m2-host-crash-");
    // Guests run as nobody, whose files lie below.
    Files.setPosixFilePermissions(base, PosixFilePermissions.fromString("rwx--x--x"));
    Files.createDirectories(base.resolve("lab"));
    Files.setPosixFilePermissions(
        base.resolve("lab"), PosixFilePermissions.fromString("rwx--x--x"));
  }

  @AfterEach
  void clean() throws Exception {
    if (machine != null) {
      machine.close();
    }
    try (Stream<Path> paths = Files.walk(base)) {
      for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }

  private TestServer start(Map<Setting, String> ports, UnaryOperator<VolumeStore> around)
      throws Exception {
    Map<Setting, String> settings = new EnumMap<>(Setting.class);
    settings.put(Setting.LAB, base.resolve("lab").toString());
    if (System.getProperty("user.name").equals("root")) {
      settings.put(Setting.QEMU_USER, "nobody");
    }
    settings.putAll(ports);
    return TestServer.start(base.resolve("data"), settings, around);
  }

  private static Map<Setting, String> ports(TestServer server) {
    Addresses addresses = server.addresses();
    return Map.of(
        Setting.HTTP, addresses.http().toString(),
        Setting.BOOT_HTTP, addresses.bootHttp().toString(),
        Setting.ISCSI, addresses.iscsi().toString());
  }

  /** A machine that runs from a clone of the small image. */
  private Guest defined(TestServer server) throws Exception {
    Path image =
        new TinyImage(TinyImage.defaultCache(System.getenv()), System.getenv())
            .build((_, _, _) -> {});
    TestApi api = server.api();
    api.succeeded(api.post("/v1/images", "{'name':'tiny','source':{'path':'" + image + "'}}"));
    String token = Files.readString(base.resolve("data/admin-token")).strip();
    URI url = URI.create(server.addresses().apiUrl());
    LabMachines.of(new ApiClient(new Endpoint(url, token, "default")))
        .add(NODE, Firmware.BIOS, 384);
    Guest guest = new Guest(base.resolve("lab"), NODE, () -> "");
    machine = guest;
    return guest;
  }

  private static JsonNode node(TestServer server) throws Exception {
    return server.api().get("/v1/nodes/" + NODE).expect(200).body();
  }

  private static UUID disk(TestServer server) throws Exception {
    return UUID.fromString(node(server).path("diskId").asText());
  }

  private static void awaitReached(TestServer server, String stage) throws Exception {
    Patience.await(
        System.out,
        LIMIT,
        NODE + " reached " + stage,
        () -> node(server).path("bootTimeline").findValuesAsText("stage").contains(stage));
  }

  @Test
  void itIsPowerCycledAndRunsAgain() throws Exception {
    Map<Setting, String> ports;
    UUID disk;
    Guest guest;
    try (TestServer server = start(Map.of(), UnaryOperator.identity())) {
      guest = defined(server);
      server.api().post("/v1/nodes/" + NODE + "/provision", "{'image':'tiny'}").expect(202);
      awaitReached(server, "power-on");
      assertEquals(1, guest.awaitReady());
      awaitReached(server, "os-login");
      disk = disk(server);
      ports = ports(server);
    }
    InterruptedStore store = new InterruptedStore(disk);
    try (TestServer server = start(ports, store)) {
      Patience.await(
          System.out,
          LIMIT,
          NODE + " is switched on again",
          () -> node(server).path("boot").asInt() == 2);
      assertEquals(2, guest.awaitReady(), "its second boot from the same disk");
      awaitReached(server, "os-login");
      assertFalse(node(server).has("reboot"), node(server).toString());
      assertEquals(2, node(server).path("boot").asInt(), "once");
    }
  }

  @Test
  void itStandsStillUntilSomebodyRebootsIt() throws Exception {
    Map<Setting, String> ports;
    UUID disk;
    Guest guest;
    try (TestServer server = start(Map.of(), UnaryOperator.identity())) {
      guest = defined(server);
      server.api().patch("/v1/nodes/" + NODE, "{'bmc':null}").expect(200);
      server.api().post("/v1/nodes/" + NODE + "/provision", "{'image':'tiny'}").expect(202);
      Patience.await(
          System.out,
          LIMIT,
          "the drive is there",
          () -> node(server).path("state").asText().equals("provisioned"));
      guest.power().on();
      assertEquals(1, guest.awaitReady());
      awaitReached(server, "os-login");
      guest.startWriter();
      disk = disk(server);
      ports = ports(server);
    }
    int told = guest.written();
    InterruptedStore store = new InterruptedStore(disk);
    try (TestServer server = start(ports, store)) {
      Patience.await(
          System.out,
          LIMIT,
          "its system has repeated its login with the old secret",
          () -> refusedLogins(server) >= REFUSED_LOGINS);
      assertEquals(told, guest.written(), "it wrote on");
      JsonNode node = node(server);
      assertTrue(node.path("reboot").path("reason").asText().contains("host"), node.toString());
      assertTrue(server.m2("node list").contains("provisioned, must reboot"));
      assertTrue(server.m2("node show " + NODE).contains("reboot      needed since"));
      String explained = server.m2("node explain " + NODE);
      assertTrue(explained.contains("held until it reboots"), explained);
      assertTrue(explained.contains("Restart it by hand"), explained);

      guest.power().cycle();
      assertEquals(2, guest.awaitReady());
      Patience.await(System.out, LIMIT, "it has rebooted", () -> !node(server).has("reboot"));
    }
  }

  private static double refusedLogins(TestServer server) throws Exception {
    Matcher count =
        Pattern.compile("m2_iscsi_login_failures_total ([0-9.]+)")
            .matcher(server.api().get("/metrics").raw().body());
    return count.find() ? Double.parseDouble(count.group(1)) : 0;
  }
}
