package io.malleable.control.db;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.malleable.control.OperationStep;
import java.sql.SQLException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The steps of an operation as one JSON document: {@code [{"name", "state", "from", "to",
 * "detail"}]}, times in milliseconds since 1970. One column, so that a change of step is one update
 * of one row.
 */
final class StepJournal {
  private StepJournal() {}

  static String write(ObjectMapper json, List<OperationStep> steps) {
    ArrayNode array = json.createArrayNode();
    for (OperationStep step : steps) {
      ObjectNode object = array.addObject();
      object.put("name", step.name());
      object.put("state", step.state().name());
      step.startedAt().ifPresent(at -> object.put("from", at.toEpochMilli()));
      step.finishedAt().ifPresent(at -> object.put("to", at.toEpochMilli()));
      step.detail().ifPresent(detail -> object.put("detail", detail));
    }
    return array.toString();
  }

  static List<OperationStep> read(ObjectMapper json, String text) throws SQLException {
    JsonNode array;
    try {
      array = json.readTree(text);
    } catch (JsonProcessingException e) {
      throw new SQLException("operation.steps is not JSON", e);
    }
    List<OperationStep> steps = new ArrayList<>();
    for (JsonNode object : array) {
      steps.add(
          new OperationStep(
              object.path("name").asText(),
              OperationStep.State.valueOf(object.path("state").asText()),
              instant(object, "from"),
              instant(object, "to"),
              Optional.ofNullable(object.path("detail").textValue())));
    }
    return steps;
  }

  private static Optional<Instant> instant(JsonNode object, String field) {
    return object.has(field)
        ? Optional.of(Instant.ofEpochMilli(object.path(field).asLong()))
        : Optional.empty();
  }
}
