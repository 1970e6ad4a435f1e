package io.malleable.server;

import java.io.IOException;
import java.io.OutputStream;
import java.util.LinkedHashMap;
import java.util.Map;

/** What a call answers: a whole body or a stream. */
sealed interface Answer {
  /** A body that is complete before its first byte is sent. */
  record Whole(int status, String contentType, String body, Map<String, String> headers)
      implements Answer {
    Whole with(String name, String value) {
      Map<String, String> more = new LinkedHashMap<>(headers);
      more.put(name, value);
      return new Whole(status, contentType, body, more);
    }
  }

  /**
   * A body that is written as it comes to be.
   *
   * @param lengthBytes negative when it is not known before
   */
  record Stream(String contentType, long lengthBytes, Writer writer) implements Answer {
    Stream(String contentType, Writer writer) {
      this(contentType, -1, writer);
    }
  }

  /** Writes a streamed body on the connection's thread until it ends or the client hangs up. */
  interface Writer {
    void write(OutputStream out) throws IOException, InterruptedException;
  }

  static Whole json(int status, Object body) {
    return new Whole(status, "application/json", Json.write(body), Map.of());
  }

  static Whole text(String contentType, String body) {
    return new Whole(200, contentType, body, Map.of());
  }

  static Whole none() {
    return new Whole(204, "", "", Map.of());
  }

  static Whole problem(Problem problem) {
    return new Whole(problem.status(), "application/problem+json", Json.write(problem), Map.of());
  }
}
