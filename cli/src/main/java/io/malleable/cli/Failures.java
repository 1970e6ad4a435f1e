package io.malleable.cli;

import java.io.IOException;
import java.net.ConnectException;
import java.net.SocketTimeoutException;
import java.net.URI;
import java.net.UnknownHostException;
import java.nio.file.AccessDeniedException;
import java.nio.file.NoSuchFileException;

/** Puts into words why something did not work, and what helps. */
final class Failures {

  private Failures() {}

  /** A call that got no answer. */
  static CommandFailure unreachable(URI url, IOException e) {
    String hint =
        e instanceof ConnectException
            ? "Start a server with: m2 serve --data DIR; or set M2_URL to where one listens."
            : "Check M2_URL and the server's log.";
    return new CommandFailure("no answer from the server at " + url + ": " + reason(e), hint, e);
  }

  /** The system's reason in a few words. */
  static String reason(IOException e) {
    return switch (e) {
      case UnknownHostException _ -> "there is no host of that name";
      case SocketTimeoutException _ -> "it took too long";
      case AccessDeniedException _ -> "permission denied";
      case NoSuchFileException _ -> "no such file";
      case ConnectException c ->
          String.valueOf(c.getMessage()).contains("refused")
              ? "connection refused"
              : String.valueOf(c.getMessage());
      default -> e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
    };
  }
}
