package io.malleable.netboot;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BootHttpServerTest {
  private static final MacAddress KNOWN = MacAddress.parse("52:54:00:00:00:01").orElseThrow();

  @TempDir Path loaders;

  private final Map<MacAddress, BootPlan> plans = new ConcurrentHashMap<>();
  private Optional<MacAddress> sender = Optional.empty();
  private final Recorder recorder = new Recorder();
  private final HttpClient http = HttpClient.newHttpClient();
  private BootHttpServer server;

  @BeforeEach
  void start() throws IOException {
    server = start(Optional.empty());
  }

  private BootHttpServer start(Optional<String> advertise) throws IOException {
    return BootHttpServer.start(
        new BootHttpConfig(
            new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
            advertise,
            LoaderDirectory.of(loaders),
            Duration.ofSeconds(10)),
        (mac, _) -> plans.getOrDefault(mac, new BootPlan.Unknown()),
        recorder,
        address -> sender);
  }

  @AfterEach
  void stop() {
    server.close();
    http.close();
  }

  private URI uri(String path) {
    return URI.create("http://127.0.0.1:" + server.address().getPort() + path);
  }

  private HttpResponse<String> get(String path) throws Exception {
    return http.send(
        HttpRequest.newBuilder(uri(path)).build(), HttpResponse.BodyHandlers.ofString());
  }

  @Test
  void entryScriptNamesTheAddressThatTheMachineUsed() throws Exception {
    String base = "http://127.0.0.1:" + server.address().getPort();
    assertEquals(BootScripts.entry(base, 10), get("/boot.ipxe").body());
    assertEquals(BootScripts.entry(base, 10), get("/autoexec.ipxe").body());
  }

  @Test
  void advertisedNameReplacesTheAddress() throws Exception {
    try (BootHttpServer advertised = start(Optional.of("boot.example"))) {
      int port = advertised.address().getPort();
      String script =
          http.send(
                  HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + "/boot.ipxe"))
                      .build(),
                  HttpResponse.BodyHandlers.ofString())
              .body();
      assertTrue(script.contains("http://boot.example:" + port + "/boot/"), script);
    }
  }

  @Test
  void machineIsFoundByAnyOfItsInterfacesAndReported() throws Exception {
    plans.put(KNOWN, new BootPlan.NotProvisioned("n1"));
    HttpResponse<String> reply =
        get(
            "/boot/52-54-00-00-00-09.ipxe?platform=efi"
                + "&uuid=0b2f1a56-7a0e-4b53-9f2e-000000000003"
                + "&nics=52-54-00-00-00-09,52-54-00-00-00-01,,");
    assertEquals(200, reply.statusCode());
    assertTrue(reply.body().contains("node n1 (52:54:00:00:00:01)"), reply.body());
    BootListener.ScriptServed event = recorder.scripts.getFirst();
    assertEquals(KNOWN, event.mac());
    assertEquals(2, event.nics().size());
    assertEquals(Firmware.UEFI, event.firmware());
    assertEquals(Optional.of("0b2f1a56-7a0e-4b53-9f2e-000000000003"), event.uuid());
    assertTrue(event.link().remote().isLoopbackAddress());
  }

  private static BootPlan provisioned(String node) {
    return new BootPlan.Provisioned(
        node,
        "iqn.2026-11.io.malleable.node:" + node,
        new BootPlan.DriveTarget(
            "iqn.2026-11.io.malleable:" + node, 0, List.of(Portal.sameHost(3260))),
        Optional.of(new ChapCredentials(node, "AbcdefghijklmnopqrstuvW1")),
        Optional.empty());
  }

  @Test
  void secretOfANodeIsWithheldFromOtherMachinesOfTheLink() throws Exception {
    MacAddress second = MacAddress.parse("52:54:00:00:00:02").orElseThrow();
    MacAddress thief = MacAddress.parse("52:54:00:00:00:66").orElseThrow();
    plans.put(KNOWN, provisioned("n1"));
    plans.put(second, provisioned("n1"));
    plans.put(thief, provisioned("n6"));
    String path = "/boot/52-54-00-00-00-01.ipxe";
    for (MacAddress own : List.of(KNOWN, second)) {
      sender = Optional.of(own);
      assertTrue(get(path).body().contains("set password "), own.toString());
    }
    sender = Optional.of(thief);
    for (String claim : List.of(path, path + "?nics=52-54-00-00-00-66")) {
      String script = get(claim).body();
      assertFalse(script.contains("AbcdefghijklmnopqrstuvW1"), script);
      assertTrue(script.contains("another machine, " + thief), script);
    }
  }

  @Test
  void neighbourTableOfTheKernelIsUnderstood() {
    String table =
        """
        IP address       HW type     Flags       HW address            Mask     Device
        10.77.0.11       0x1         0x2         52:54:00:77:00:01     *        br0
        10.77.0.12       0x1         0x0         00:00:00:00:00:00     *        br0
        """;
    assertEquals(MacAddress.parse("52:54:00:77:00:01"), Neighbours.find(table, "10.77.0.11"));
    assertEquals(Optional.empty(), Neighbours.find(table, "10.77.0.12"));
    assertEquals(Optional.empty(), Neighbours.find(table, "10.77.0.1"));
  }

  @Test
  void driveThatFailedIsReportedAndBacksOff() throws Exception {
    plans.put(KNOWN, provisioned("n1"));
    int first = waitSeconds(get("/boot/52-54-00-00-00-01.ipxe").body());
    int last = waitSeconds(get("/boot/52-54-00-00-00-01.ipxe?failed=drive&attempt=9").body());
    assertTrue(first >= 4 && first <= 6, "first " + first);
    assertTrue(last >= 48 && last <= 72, "last " + last);
    assertEquals(8, recorder.failures.getFirst().attempt());
    assertEquals(
        List.of(1, 9), recorder.scripts.stream().map(BootListener.ScriptServed::attempt).toList());
  }

  private static int waitSeconds(String script) {
    return Integer.parseInt(
        script.lines().filter(l -> l.startsWith("sleep ")).findFirst().orElseThrow().substring(6));
  }

  @Test
  void headAnnouncesTheLengthAndReportsNothing() throws Exception {
    byte[] loader = new byte[3000];
    loader[2999] = 7;
    Files.write(loaders.resolve("ipxe.efi"), loader);
    HttpResponse<String> head =
        http.send(
            HttpRequest.newBuilder(uri("/ipxe.efi")).HEAD().build(),
            HttpResponse.BodyHandlers.ofString());
    assertEquals(200, head.statusCode());
    assertEquals("3000", head.headers().firstValue("Content-Length").orElseThrow());
    assertTrue(recorder.loaders.isEmpty());
    HttpResponse<byte[]> body =
        http.send(
            HttpRequest.newBuilder(uri("/ipxe.efi")).build(),
            HttpResponse.BodyHandlers.ofByteArray());
    assertArrayEquals(loader, body.body());
    assertEquals("ipxe.efi", recorder.loaders.getFirst().file());
    assertEquals(
        200,
        http.send(
                HttpRequest.newBuilder(uri("/boot/52-54-00-00-00-01.ipxe")).HEAD().build(),
                HttpResponse.BodyHandlers.ofString())
            .statusCode());
    assertTrue(recorder.scripts.isEmpty());
  }

  @Test
  void nothingElseIsServed() throws Exception {
    Files.writeString(loaders.resolve("secret"), "x");
    for (String path :
        List.of(
            "/",
            "/secret",
            "/snponly.efi",
            "/../secret",
            "/%2e%2e/etc/passwd",
            "/boot/x.ipxe",
            "/boot/.ipxe",
            "/boot/%00.ipxe",
            "/v1/nodes")) {
      assertEquals(404, get(path).statusCode(), path);
    }
    // Newer releases of JDK 25 take it for an authority without a path and refuse it by themselves.
    int twoSlashes = get("//boot.ipxe").statusCode();
    assertTrue(twoSlashes == 404 || twoSlashes == 400, "//boot.ipxe: " + twoSlashes);
    HttpResponse<String> put =
        http.send(
            HttpRequest.newBuilder(uri("/boot.ipxe"))
                .PUT(HttpRequest.BodyPublishers.ofString("x"))
                .build(),
            HttpResponse.BodyHandlers.ofString());
    assertEquals(405, put.statusCode());
    assertEquals("GET, HEAD", put.headers().firstValue("Allow").orElseThrow());
  }

  @Test
  void phoneHomeIsPassedOnWithTokenOrMac() throws Exception {
    recorder.knownToken = "t0ken";
    assertEquals(200, post("/phone-home/t0ken", "hostname=n1").statusCode());
    assertEquals(200, get("/phone-home/t0ken").statusCode());
    assertEquals(404, post("/phone-home/other", "").statusCode());
    assertEquals(404, post("/phone-home", "mac=52%3A54%3A00%3A00%3A00%3A01&%zz=1").statusCode());
    assertEquals(Optional.of(KNOWN), recorder.reports.getLast().mac());
    assertEquals(405, get("/phone-home").statusCode());
  }

  @Test
  void reportThatIsTooLongIsRefused() throws Exception {
    assertEquals(413, post("/phone-home/t", "x".repeat(70_000)).statusCode());
    assertTrue(recorder.reports.isEmpty());
  }

  @Test
  void directoryThatFailsIsAnErrorForOneMachineOnly() throws Exception {
    recorder.failing = true;
    assertEquals(500, get("/boot/52-54-00-00-00-01.ipxe").statusCode());
    recorder.failing = false;
    assertEquals(200, get("/boot/52-54-00-00-00-01.ipxe").statusCode());
  }

  @Test
  void hostileBytesEndOnlyTheirOwnConnection() throws Exception {
    for (String hostile :
        List.of(
            "\0\0\0\0\r\n\r\n",
            "GET\r\n\r\n",
            "GET /boot.ipxe HTTP/1.1\r\nHost: " + "h".repeat(64 << 10) + "\r\n\r\n",
            "GET /" + "a".repeat(64 << 10) + " HTTP/1.1\r\n\r\n",
            "GET http://[::bad/ HTTP/1.1\r\n\r\n",
            "POST /phone-home/x HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
            "POST /phone-home/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n")) {
      try (Socket socket =
          new Socket(InetAddress.getLoopbackAddress(), server.address().getPort())) {
        OutputStream out = socket.getOutputStream();
        try {
          out.write(hostile.getBytes(StandardCharsets.ISO_8859_1));
          out.flush();
          socket.shutdownOutput();
          socket.getInputStream().readNBytes(1 << 20);
        } catch (IOException refused) {
          // The listener may close before it has read everything.
        }
      }
    }
    assertEquals(200, get("/boot.ipxe").statusCode());
  }

  private HttpResponse<String> post(String path, String body) throws Exception {
    return http.send(
        HttpRequest.newBuilder(uri(path))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .POST(HttpRequest.BodyPublishers.ofString(body))
            .build(),
        HttpResponse.BodyHandlers.ofString());
  }

  private static final class Recorder implements BootListener {
    final List<ScriptServed> scripts = new CopyOnWriteArrayList<>();
    final List<LoaderServed> loaders = new CopyOnWriteArrayList<>();
    final List<DriveFailed> failures = new CopyOnWriteArrayList<>();
    final List<PhoneHome> reports = new CopyOnWriteArrayList<>();
    volatile String knownToken = "";
    volatile boolean failing;

    @Override
    public void onScript(ScriptServed event) {
      if (failing) {
        throw new IllegalStateException("asked to fail");
      }
      scripts.add(event);
    }

    @Override
    public void onLoader(LoaderServed event) {
      loaders.add(event);
    }

    @Override
    public void onDriveFailed(DriveFailed event) {
      failures.add(event);
    }

    @Override
    public boolean onPhoneHome(PhoneHome event) {
      reports.add(event);
      return event.token().equals(Optional.of(knownToken));
    }
  }
}
