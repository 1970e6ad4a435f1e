package io.malleable.hardware;

import com.fasterxml.jackson.databind.JsonNode;
import java.net.URI;
import java.net.http.HttpHeaders;
import java.util.Optional;

/** What a Redfish service answered; the body is a missing node when there was none. */
record RedfishAnswer(int status, HttpHeaders headers, JsonNode body) {
  private static final int MAX_REASON_CHARS = 300;

  boolean succeeded() {
    return status >= 200 && status < 300;
  }

  /**
   * The path that {@code Location} names. Some services put their own idea of a host before it;
   * ours is the one of the address.
   */
  Optional<String> location() {
    return headers.firstValue("Location").map(RedfishAnswer::pathOf).filter(p -> !p.isEmpty());
  }

  private static String pathOf(String location) {
    try {
      String path = URI.create(location).getRawPath();
      return path != null && path.startsWith("/") ? path : "";
    } catch (IllegalArgumentException e) {
      return "";
    }
  }

  /** The service's own words (DSP0266, error responses), or only the status. */
  String reason() {
    JsonNode error = body.path("error");
    StringBuilder text = new StringBuilder();
    for (JsonNode info : error.path("@Message.ExtendedInfo")) {
      text.append(info.path("Message").asText()).append(' ');
    }
    if (text.isEmpty()) {
      text.append(error.path("message").asText());
    }
    String words = text.toString().strip();
    if (words.length() > MAX_REASON_CHARS) {
      words = words.substring(0, MAX_REASON_CHARS);
    }
    return words.isEmpty() ? "HTTP status " + status : words + " (HTTP status " + status + ")";
  }

  /** Whether the refusal is about this property. */
  boolean complainsAbout(String property) {
    return status == 400 && body.path("error").toString().contains(property);
  }
}
