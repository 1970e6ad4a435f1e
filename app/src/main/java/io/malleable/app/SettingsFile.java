package io.malleable.app;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** Reads the configuration file. Apart from the flags, so that YAML is loaded only when used. */
final class SettingsFile {
  private static final long MAX_BYTES = 1024 * 1024;

  private SettingsFile() {}

  static Map<String, Object> read(Path file) throws BadSettingsException, IOException {
    try {
      if (Files.size(file) > MAX_BYTES) {
        throw new BadSettingsException(List.of("--config: " + file + " is larger than 1 MiB"));
      }
      byte[] text = Files.readAllBytes(file);
      if (new String(text, java.nio.charset.StandardCharsets.UTF_8).isBlank()) {
        return Map.of();
      }
      Map<String, Object> values =
          new ObjectMapper(
                  YAMLFactory.builder()
                      .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                      .build())
              .readValue(text, new TypeReference<Map<String, Object>>() {});
      return values == null ? Map.of() : values;
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
}
