package io.malleable.server;

import java.lang.System.Logger.Level;

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
      case 503 -> "Service Unavailable";
      case 507 -> "Insufficient Storage";
      default -> status < 500 ? "Refused" : "Internal Server Error";
    };
  }
}
