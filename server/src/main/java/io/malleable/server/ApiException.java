package io.malleable.server;

import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A refusal that the API itself decides on; what the services refuse is mapped by {@link Refusals}.
 */
final class ApiException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final transient Problem problem;
  private final transient Map<String, String> headers;

  private ApiException(Problem problem, Map<String, String> headers) {
    super(problem.detail());
    this.problem = problem;
    this.headers = headers;
  }

  static ApiException of(
      int status, String code, @Nullable String field, String detail, @Nullable String hint) {
    return of(status, code, field, null, detail, hint);
  }

  static ApiException of(
      int status,
      String code,
      @Nullable String field,
      @Nullable String value,
      String detail,
      @Nullable String hint) {
    return new ApiException(
        new Problem(
            "about:blank", Refusals.title(status), status, detail, code, field, value, hint),
        Map.of());
  }

  ApiException withHeader(String name, String value) {
    return new ApiException(problem, Map.of(name, value));
  }

  Problem problem() {
    return problem;
  }

  Map<String, String> headers() {
    return headers;
  }
}
