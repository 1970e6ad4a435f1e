package io.malleable.http;

import java.nio.charset.StandardCharsets;

/**
 * What a client is told that finds no room: 503 and when to come again (RFC 9110 15.6.4). iPXE does
 * so by itself.
 *
 * @param contentType of the body
 * @param body for whoever reads it
 */
public record BusyAnswer(String contentType, String body) {
  private static final int RETRY_AFTER_SECONDS = 5;

  /** The whole of it, as it goes onto the wire. */
  byte[] bytes() {
    byte[] content = body.getBytes(StandardCharsets.UTF_8);
    byte[] head =
        """
        HTTP/1.1 503 Service Unavailable\r
        Retry-After: %d\r
        Connection: close\r
        Cache-Control: no-store\r
        Content-Type: %s\r
        Content-Length: %d\r
        \r
        """
            .formatted(RETRY_AFTER_SECONDS, contentType, content.length)
            .getBytes(StandardCharsets.US_ASCII);
    byte[] whole = new byte[head.length + content.length];
    System.arraycopy(head, 0, whole, 0, head.length);
    System.arraycopy(content, 0, whole, head.length, content.length);
    return whole;
  }
}
