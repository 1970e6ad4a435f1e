package io.malleable.server;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.concurrent.atomic.LongAdder;
import org.jspecify.annotations.Nullable;

/** The administrator's bearer token. Only its digest is kept in memory. */
public final class AccessToken {
  private static final String SCHEME = "Bearer ";

  private final byte[] digest;
  private final LongAdder failures = new LongAdder();

  public AccessToken(String token) {
    if (token.isBlank()) {
      throw new IllegalArgumentException("an empty token would let everyone in");
    }
    this.digest = sha256(token);
  }

  /**
   * Throws a 401 unless the header carries the token. Digests of equal length are compared in
   * constant time, so neither the length nor a common prefix shows in the time it takes.
   */
  void require(@Nullable String authorization) {
    if (authorization == null) {
      throw refused(
          "TOKEN_MISSING",
          "This call needs a token.",
          "Send 'Authorization: Bearer TOKEN'; the token is in DIR/admin-token of the server.");
    }
    boolean bearer = authorization.regionMatches(true, 0, SCHEME, 0, SCHEME.length());
    String presented = bearer ? authorization.substring(SCHEME.length()).strip() : "";
    if (!MessageDigest.isEqual(digest, sha256(presented))) {
      failures.increment();
      throw refused(
          "TOKEN_WRONG",
          "The token is not valid here.",
          "Compare it with DIR/admin-token of the server.");
    }
  }

  /** Calls with a wrong token since the start. */
  long failures() {
    return failures.sum();
  }

  private static ApiException refused(String code, String detail, String hint) {
    return ApiException.of(401, code, "Authorization", detail, hint)
        .withHeader("WWW-Authenticate", "Bearer realm=\"m2\"");
  }

  private static byte[] sha256(String text) {
    try {
      return MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }
}
