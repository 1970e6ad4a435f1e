package io.malleable.server;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import io.malleable.control.Control;
import io.malleable.control.ControlSettings;
import io.malleable.control.ImageExpectation;
import io.malleable.control.ImageFacts;
import io.malleable.control.ImageImports;
import io.malleable.control.ImageSource;
import io.malleable.control.Node;
import io.malleable.control.Ports;
import io.malleable.control.Power;
import io.malleable.control.Targets;
import io.malleable.control.db.SqliteDatabase;
import io.malleable.hardware.PowerDriver;
import io.malleable.volume.Capacity;
import io.malleable.volume.LocalVolumeStore;
import io.malleable.volume.VolumeStore;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The document and the table of routes say the same. */
final class ApiRoutesTest {
  private static final Set<String> METHODS =
      Set.of("get", "head", "put", "post", "patch", "delete");

  @TempDir private Path directory;

  @Test
  void openApiDescribesExactlyTheCallsThatThereAre() throws Exception {
    assertEquals(documented(), String.join("\n", implemented()));
  }

  private Set<String> implemented() throws Exception {
    try (VolumeStore volumes = LocalVolumeStore.open(directory.resolve("volumes"));
        SqliteDatabase database = SqliteDatabase.open(directory.resolve("m2.db"));
        Control control =
            Control.open(
                new Ports(
                    database,
                    volumes,
                    new NoTargets(),
                    new NoPower(),
                    new NoImports(),
                    InstantSource.system()),
                ControlSettings.defaults().withStorePatience(Duration.ofMinutes(1)))) {
      List<Route> routes =
          ApiRoutes.of(
              new ApiPorts(
                  control,
                  new NoFacts(),
                  host -> host,
                  node -> Optional.empty(),
                  (image, format) -> {
                    throw new IllegalStateException("nobody calls it");
                  },
                  (image, firmware) -> {
                    throw new IllegalStateException("nobody calls it");
                  },
                  directory,
                  0,
                  () -> true),
              new AccessToken("a token of a test"),
              new PrometheusMeterRegistry(PrometheusConfig.DEFAULT));
      return routes.stream()
          .map(r -> describe(r.method(), r.path(), new TreeSet<>(r.query()), r.open()))
          .collect(Collectors.toCollection(TreeSet::new));
    }
  }

  private static String documented() throws IOException {
    JsonNode root = new ObjectMapper(new YAMLFactory()).readTree(HealthRoutes.openapi());
    Set<String> calls = new TreeSet<>();
    for (Map.Entry<String, JsonNode> path : root.path("paths").properties()) {
      for (Map.Entry<String, JsonNode> call : path.getValue().properties()) {
        if (METHODS.contains(call.getKey())) {
          boolean open = call.getValue().path("security").isArray();
          String method = call.getKey().toUpperCase(Locale.ROOT);
          calls.add(describe(method, path.getKey(), query(root, call.getValue()), open));
        }
      }
    }
    return String.join("\n", calls);
  }

  private static Set<String> query(JsonNode root, JsonNode call) {
    Set<String> names = new TreeSet<>();
    for (JsonNode parameter : call.path("parameters")) {
      String reference = parameter.path("$ref").asText();
      JsonNode known = reference.isEmpty() ? parameter : root.at(reference.substring(1));
      if (known.path("in").asText().equals("query")) {
        names.add(known.path("name").asText());
      }
    }
    return names;
  }

  private static String describe(String method, String path, Set<String> query, boolean open) {
    return path + " " + method + " " + query + (open ? " without a token" : "");
  }

  private static final class NoTargets implements Targets {
    @Override
    public void define(Definition definition) {}

    @Override
    public void withdraw(UUID disk) {}

    @Override
    public Set<UUID> defined() {
      return Set.of();
    }

    @Override
    public Use use(UUID disk) {
      return Use.NONE;
    }

    @Override
    public Optional<Reservations> reservations(UUID disk) {
      return Optional.empty();
    }

    @Override
    public void clearReservations(UUID disk) {}
  }

  private static final class NoPower implements Power {
    @Override
    public void checkAddress(String bmc) {}

    @Override
    public boolean isAutomatic(Node node) {
      return false;
    }

    @Override
    public PowerDriver driver(Node node) throws IOException {
      throw new IOException("there is no power driver here");
    }
  }

  private static final class NoImports implements ImageImports {
    @Override
    public void check(ImageSource source, Optional<String> format) {}

    @Override
    public ImageFacts importInto(
        UUID volume, ImageSource source, ImageExpectation expected, ImportProgress progress)
        throws IOException {
      throw new IOException("there are no images here");
    }
  }

  private static final class NoFacts implements ServerFacts {
    @Override
    public String version() {
      return "test";
    }

    @Override
    public Instant startedAt() {
      return Instant.EPOCH;
    }

    @Override
    public Path dataDirectory() {
      return Path.of("/");
    }

    @Override
    public Path labDirectory() {
      return Path.of("/");
    }

    @Override
    public String apiAddress() {
      return "";
    }

    @Override
    public String bootAddress() {
      return "";
    }

    @Override
    public String iscsiAddress() {
      return "";
    }

    @Override
    public Capacity capacity() {
      return new Capacity(0, 0, 0);
    }

    @Override
    public BootFacts boots() {
      return new BootFacts(0, 0, 0, 0);
    }

    @Override
    public TargetFacts target() {
      return new TargetFacts(0, 0, 0, 0, 0);
    }
  }
}
