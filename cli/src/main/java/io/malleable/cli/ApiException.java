package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import org.jspecify.annotations.Nullable;

/** The server refused a call or failed: an RFC 9457 problem. */
public final class ApiException extends CommandFailure {
  private final int status;
  private final String code;

  private ApiException(int status, String code, String message, @Nullable String hint) {
    super(message, hint);
    this.status = status;
    this.code = code;
  }

  /** The HTTP status. */
  public int status() {
    return status;
  }

  /**
   * The problem's stable code, such as {@code NAME_TAKEN}; {@code HTTP_<status>} when the answer
   * was no problem document.
   */
  public String code() {
    return code;
  }

  static ApiException of(int status, JsonNode problem) {
    String code = problem.path("code").asText("HTTP_" + status);
    String detail = problem.path("detail").asText(problem.path("title").asText(""));
    if (detail.isEmpty()) {
      detail = "the server answered with HTTP status " + status;
    }
    StringBuilder message = new StringBuilder(detail).append(" [").append(code);
    if (problem.hasNonNull("field")) {
      message.append(", field ").append(problem.path("field").asText());
      if (problem.hasNonNull("value")) {
        message.append(" = \"").append(problem.path("value").asText()).append('"');
      }
    }
    message.append(']');
    String hint = problem.hasNonNull("hint") ? problem.path("hint").asText() : hintFor(status);
    return new ApiException(status, code, message.toString(), hint);
  }

  private static @Nullable String hintFor(int status) {
    return status == 401
        ? "Set M2_TOKEN_FILE to a file that holds a token, for example DATA/admin-token of the server's data directory."
        : null;
  }
}
