package io.malleable.http;

import java.time.Duration;

/**
 * What all clients of a listener together, and each of them, may take.
 *
 * @param connections at once
 * @param head how long a client may take to send the head of a request: from its first byte, or
 *     from the connection's beginning for the first request
 * @param answer how long a request may take from its head to the end of its answer
 */
public record HttpLimits(int connections, Duration head, Duration answer) {
  /** Some take more than a second to send a line, none that works takes this long. */
  private static final Duration HEAD = Duration.ofSeconds(15);

  /** For streams, whose reader may stay for ever. */
  public static final Duration ENDLESS = Duration.ofNanos(Long.MAX_VALUE);

  public HttpLimits {
    if (connections < 1) {
      throw new IllegalArgumentException("connections must be at least 1: " + connections);
    }
    if (!head.isPositive() || !answer.isPositive()) {
      throw new IllegalArgumentException(
          "head and answer must be longer than nothing: " + head + ", " + answer);
    }
  }

  /** As many connections as that, and answers that may take as long as they do. */
  public static HttpLimits of(int connections) {
    return new HttpLimits(connections, HEAD, ENDLESS);
  }

  public HttpLimits withHead(Duration limit) {
    return new HttpLimits(connections, limit, answer);
  }

  public HttpLimits withAnswer(Duration limit) {
    return new HttpLimits(connections, head, limit);
  }
}
