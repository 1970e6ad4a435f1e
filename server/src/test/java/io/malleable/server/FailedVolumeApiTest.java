package io.malleable.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.volume.VolumeFault;
import io.malleable.volume.VolumeStore;
import io.malleable.volume.local.LocalVolumeStore;
import java.io.IOException;
import java.lang.ref.WeakReference;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the API says when the storage of some volumes failed, and keeps on saying. */
final class FailedVolumeApiTest {
  private static final VolumeFault FAULT =
      new VolumeFault("fsync: Input/output error", Instant.EPOCH, OptionalInt.empty());

  private volatile Map<UUID, VolumeFault> faults = Map.of();
  private final HttpClient client = HttpClient.newHttpClient();
  private LocalVolumeStore volumes;
  private BareControl bare;
  private ApiServer server;

  @BeforeEach
  void start(@TempDir Path directory) throws IOException {
    volumes = LocalVolumeStore.open(directory.resolve("volumes"));
    bare = BareControl.open(directory, failing(volumes));
    server =
        ApiServer.start(
            new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
            100,
            new AccessToken("secret"),
            bare.ports());
  }

  @AfterEach
  void stop() throws IOException {
    client.close();
    server.close();
    bare.close();
    volumes.close();
  }

  private VolumeStore failing(VolumeStore store) {
    return (VolumeStore)
        Proxy.newProxyInstance(
            VolumeStore.class.getClassLoader(),
            new Class<?>[] {VolumeStore.class},
            (_, method, arguments) -> {
              if (method.getName().equals("faults")) {
                return faults;
              }
              try {
                return method.invoke(store, arguments);
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            });
  }

  private String get(String path) throws IOException, InterruptedException {
    HttpResponse<String> answer =
        client.send(
            HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + server.port() + path))
                .header("Authorization", "Bearer secret")
                .timeout(Duration.ofMinutes(1))
                .build(),
            BodyHandlers.ofString());
    assertEquals(200, answer.statusCode(), answer.body());
    return answer.body();
  }

  @Test
  void theServerStaysReadyAndSaysHowManyVolumesFailed() throws Exception {
    assertEquals("ready\n", get("/readyz"));
    faults = Map.of(new UUID(0, 1), FAULT, new UUID(0, 2), FAULT);
    assertEquals(
        "ready\nfailed volumes that take no writes: 2, see GET /v1/system\n", get("/readyz"));
    faults = Map.of();
    assertEquals("ready\n", get("/readyz"));
  }

  @Test
  void aDiskSaysWhyItTakesNoWritesAndTheSystemCountsIt() throws Exception {
    UUID id = UUID.randomUUID();
    volumes.create(id, 1 << 20);
    bare.insertDisk(id, "data");
    assertFalse(get("/v1/system").contains("\"failed\""));
    assertFalse(get("/v1/disks/data").contains("\"fault\""));
    faults = Map.of(id, FAULT);
    String system = get("/v1/system");
    assertTrue(system.contains("\"failed\":{\"images\":0,\"disks\":1,\"snapshots\":0}"), system);
    String disk = get("/v1/disks/data");
    assertTrue(disk.contains("\"state\":\"failed\""), disk);
    assertTrue(
        disk.contains(
            "\"fault\":{\"cause\":\"fsync: Input/output error\",\"since\":\"1970-01-01T00:00:00"),
        disk);
    assertFalse(disk.contains("recoveredPercent"), disk);
  }

  @Test
  void everyMeterStillSaysSomethingAfterACollection() throws Exception {
    faults = Map.of(UUID.randomUUID(), FAULT);
    List<String> before = ours();
    assertTrue(before.contains("m2_volumes_failed 1.0"), before::toString);
    assertTrue(before.contains("m2_resources{kind=\"project\"} 1.0"), before::toString);
    WeakReference<Object> canary = new WeakReference<>(new Object());
    while (canary.get() != null) {
      System.gc();
    }
    faults = Map.of();
    bare.control().projects().create("another");
    List<String> after = ours();
    assertEquals(List.of(), after.stream().filter(line -> line.contains("NaN")).toList());
    assertTrue(after.contains("m2_volumes_failed 0.0"), after::toString);
    assertTrue(after.contains("m2_resources{kind=\"project\"} 2.0"), after::toString);
    get("/v1/system");
  }

  /** What is not counted for each call. */
  private List<String> ours() throws IOException, InterruptedException {
    return get("/metrics")
        .lines()
        .filter(line -> line.startsWith("m2_") && !line.startsWith("m2_http"))
        .toList();
  }
}
