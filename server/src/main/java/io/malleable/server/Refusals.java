package io.malleable.server;

import io.malleable.control.ControlException;
import io.malleable.control.ErrorCode;
import io.malleable.control.OperationError;
import io.malleable.volume.VolumeException;
import java.lang.System.Logger.Level;
import org.jspecify.annotations.Nullable;

/** The one table from what can go wrong to the problem that a client sees. */
final class Refusals {
  private static final System.Logger LOG = System.getLogger(Refusals.class.getName());

  private Refusals() {}

  static Answer.Whole answer(Exception e) {
    if (e instanceof ApiException refused) {
      Answer.Whole answer = Answer.problem(refused.problem());
      for (var header : refused.headers().entrySet()) {
        answer = answer.with(header.getKey(), header.getValue());
      }
      return answer;
    }
    if (e instanceof ControlException refused) {
      if (refused.code().kind() == ErrorCode.Kind.INTERNAL
          || refused.code().kind() == ErrorCode.Kind.RESOURCE) {
        LOG.log(Level.WARNING, () -> "a request failed: " + refused.message(), refused);
      }
      return answer(
          refused.code(),
          refused.message(),
          refused.field().orElse(null),
          refused.value().orElse(null),
          refused.hint().orElse(null));
    }
    if (e instanceof VolumeException refused) {
      return answer(ControlException.of(refused));
    }
    LOG.log(Level.ERROR, "a request failed", e);
    return Answer.problem(
        ApiException.of(
                500,
                "INTERNAL",
                null,
                "The server failed on this request; its log has the cause.",
                "Repeat the call; report it with the server's log when it fails again.")
            .problem());
  }

  static Answer.Whole answer(OperationError error) {
    return answer(error.code(), error.message(), null, null, error.hint().orElse(null));
  }

  private static Answer.Whole answer(
      ErrorCode code,
      String message,
      @Nullable String field,
      @Nullable String value,
      @Nullable String hint) {
    int status = status(code);
    return Answer.problem(
        new Problem(
            "about:blank", title(status), status, message, code.name(), field, value, hint));
  }

  private static int status(ErrorCode code) {
    return switch (code) {
      case OUT_OF_SPACE -> 507;
      case TOO_MANY_OPERATIONS -> 429;
      case POWER_FAILED -> 502;
      case STORE_CORRUPT, DATABASE_FAILED, DATABASE_TOO_NEW, IO_FAILED -> 500;
      case IDEMPOTENCY_KEY_REUSED -> 422;
      default ->
          switch (code.kind()) {
            case USER -> 400;
            case NOT_FOUND -> 404;
            case CONFLICT -> 409;
            case PRECONDITION -> 412;
            case RESOURCE -> 503;
            case INTERNAL -> 500;
          };
    };
  }

  static String title(int status) {
    return switch (status) {
      case 400 -> "Bad Request";
      case 401 -> "Unauthorized";
      case 403 -> "Forbidden";
      case 404 -> "Not Found";
      case 405 -> "Method Not Allowed";
      case 408 -> "Request Timeout";
      case 409 -> "Conflict";
      case 412 -> "Precondition Failed";
      case 413 -> "Content Too Large";
      case 415 -> "Unsupported Media Type";
      case 422 -> "Unprocessable Content";
      case 429 -> "Too Many Requests";
      case 502 -> "Bad Gateway";
      case 503 -> "Service Unavailable";
      case 507 -> "Insufficient Storage";
      default -> status < 500 ? "Refused" : "Internal Server Error";
    };
  }
}
