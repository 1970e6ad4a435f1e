package io.malleable.server;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import io.malleable.volume.VolumeStore;
import io.malleable.volume.local.LocalVolumeStore;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
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
        BareControl bare = BareControl.open(directory, volumes)) {
      List<Route> routes =
          ApiRoutes.of(
              bare.ports(),
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
}
