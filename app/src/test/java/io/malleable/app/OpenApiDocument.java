package io.malleable.app;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Pattern;

/** The API's own description, and whether what the server answers keeps to it. */
final class OpenApiDocument {
  private static final Set<String> METHODS =
      Set.of("get", "head", "put", "post", "patch", "delete");

  private final JsonNode root;

  private OpenApiDocument(JsonNode root) {
    this.root = root;
  }

  static OpenApiDocument parse(String yaml) throws IOException {
    return new OpenApiDocument(new ObjectMapper(new YAMLFactory()).readTree(yaml));
  }

  /** Query parameters by call, such as {@code GET /v1/disks}. */
  Map<String, Set<String>> calls() {
    Map<String, Set<String>> calls = new TreeMap<>();
    for (Map.Entry<String, JsonNode> path : root.path("paths").properties()) {
      for (Map.Entry<String, JsonNode> method : path.getValue().properties()) {
        if (METHODS.contains(method.getKey())) {
          Set<String> query = new TreeSet<>();
          for (JsonNode parameter : method.getValue().path("parameters")) {
            JsonNode known = resolved(parameter);
            if (known.path("in").asText().equals("query")) {
              query.add(known.path("name").asText());
            }
          }
          calls.put(
              method.getKey().toUpperCase(java.util.Locale.ROOT) + " " + path.getKey(), query);
        }
      }
    }
    return calls;
  }

  /** What is wrong with an answer; empty when it is as documented. */
  List<String> faults(String method, String path, int status, String contentType, JsonNode body) {
    Optional<String> template = template(path);
    if (template.isEmpty()) {
      return status == 404 ? List.of() : List.of("no such path: " + path);
    }
    JsonNode responses =
        root.path("paths")
            .path(template.get())
            .path(method.toLowerCase(java.util.Locale.ROOT))
            .path("responses");
    if (responses.isMissingNode()) {
      return status == 405 ? List.of() : List.of("no such call: " + method + " " + path);
    }
    JsonNode response = responses.path(Integer.toString(status));
    JsonNode known = resolved(response.isMissingNode() ? responses.path("default") : response);
    if (known.isMissingNode()) {
      return List.of(
          method + " " + template.get() + ": the status " + status + " is not documented");
    }
    JsonNode content = known.path("content");
    if (content.isMissingNode()) {
      return body.isMissingNode() ? List.of() : List.of("a body that is not documented: " + body);
    }
    JsonNode schema = content.path(contentType.replaceAll(";.*", "")).path("schema");
    if (schema.isMissingNode()) {
      return List.of(method + " " + template.get() + " " + status + ": not " + contentType);
    }
    List<String> faults = new ArrayList<>();
    check(method + " " + template.get() + " " + status, schema, body, faults);
    return faults;
  }

  private Optional<String> template(String path) {
    String plain = path.replaceAll("\\?.*", "");
    for (String template : root.path("paths").propertyStream().map(Map.Entry::getKey).toList()) {
      if (plain.matches(template.replace(".", "\\.").replaceAll("\\{[a-z]+\\}", "[^/]+"))) {
        return Optional.of(template);
      }
    }
    return Optional.empty();
  }

  private void check(String where, JsonNode unresolved, JsonNode value, List<String> faults) {
    JsonNode schema = resolved(unresolved);
    if (!types(schema).isEmpty() && types(schema).stream().noneMatch(type -> is(type, value))) {
      faults.add(where + ": " + value + " is not " + types(schema));
      return;
    }
    if (schema.has("enum") && !contains(schema.path("enum"), value)) {
      faults.add(where + ": " + value + " is none of " + schema.path("enum"));
    }
    if (schema.has("pattern")
        && !Pattern.compile(schema.path("pattern").asText()).matcher(value.asText()).find()) {
      faults.add(where + ": " + value + " does not match " + schema.path("pattern"));
    }
    if (value.isArray()) {
      for (JsonNode item : value) {
        check(where + "[]", schema.path("items"), item, faults);
      }
    }
    if (value.isObject()) {
      checkObject(where, schema, value, faults);
    }
  }

  private void checkObject(String where, JsonNode schema, JsonNode value, List<String> faults) {
    for (JsonNode required : schema.path("required")) {
      if (!value.has(required.asText())) {
        faults.add(where + ": " + required.asText() + " is missing");
      }
    }
    for (Map.Entry<String, JsonNode> field : value.properties()) {
      JsonNode property = schema.path("properties").path(field.getKey());
      if (property.isMissingNode()) {
        faults.add(where + ": " + field.getKey() + " is not documented");
      } else {
        check(where + "." + field.getKey(), property, field.getValue(), faults);
      }
    }
  }

  private JsonNode resolved(JsonNode node) {
    String reference = node.path("$ref").asText();
    return reference.isEmpty() ? node : resolved(root.at(reference.substring(1)));
  }

  private static List<String> types(JsonNode schema) {
    List<String> types = new ArrayList<>();
    JsonNode type = schema.path("type");
    if (type.isTextual()) {
      types.add(type.asText());
    }
    type.forEach(each -> types.add(each.asText()));
    return types;
  }

  private static boolean is(String type, JsonNode value) {
    return switch (type) {
      case "object" -> value.isObject();
      case "array" -> value.isArray();
      case "string" -> value.isTextual();
      case "integer" -> value.isIntegralNumber();
      case "number" -> value.isNumber();
      case "boolean" -> value.isBoolean();
      case "null" -> value.isNull();
      default -> throw new IllegalArgumentException("an unknown type in the document: " + type);
    };
  }

  private static boolean contains(JsonNode list, JsonNode value) {
    for (JsonNode item : list) {
      if (item.equals(value)) {
        return true;
      }
    }
    return false;
  }
}
