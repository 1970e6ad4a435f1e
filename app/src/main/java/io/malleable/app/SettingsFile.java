package io.malleable.app;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads the configuration file. Apart from the flags, so that YAML is loaded only when used. A
 * nested key is its parts joined by dashes: {@code store: {rbd: {pool: m2}}} is {@code
 * store-rbd-pool}.
 */
final class SettingsFile {
  private static final long MAX_BYTES = 1024 * 1024;

  private SettingsFile() {}

  static Map<String, Object> read(Path file) throws BadSettingsException, IOException {
    try {
      if (Files.size(file) > MAX_BYTES) {
        throw new BadSettingsException(List.of("--config: " + file + " is larger than 1 MiB"));
      }
      byte[] text = Files.readAllBytes(file);
      ObjectMapper mapper =
          new ObjectMapper(
              YAMLFactory.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build());
      JsonNode tree = mapper.readTree(text);
      if (tree.isMissingNode() || tree.isNull()) {
        return Map.of();
      }
      if (!tree.isObject()) {
        throw new BadSettingsException(List.of(file + ": write 'KEY: VALUE' lines"));
      }
      return flat("", mapper.convertValue(tree, new TypeReference<Map<String, Object>>() {}));
    } catch (NoSuchFileException e) {
      throw new BadSettingsException(List.of("--config: there is no file " + file));
    } catch (JsonProcessingException e) {
      throw new BadSettingsException(
          List.of(
              file
                  + " line "
                  + e.getLocation().getLineNr()
                  + ": "
                  + e.getOriginalMessage().lines().findFirst().orElse("not YAML")
                  + "; write 'KEY: VALUE' lines"));
    }
  }

  private static Map<String, Object> flat(String prefix, Map<?, ?> values) {
    Map<String, Object> flat = new LinkedHashMap<>();
    values.forEach((key, value) -> {
      String name = prefix + key;
      if (value instanceof Map<?, ?> nested) {
        flat.putAll(flat(name + "-", nested));
      } else {
        flat.put(name, value);
      }
    });
    return flat;
  }
}
