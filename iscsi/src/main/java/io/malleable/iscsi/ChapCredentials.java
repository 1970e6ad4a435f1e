package io.malleable.iscsi;

import java.util.Objects;

/**
 * One name and secret of CHAP (RFC 7143 12.1.3).
 *
 * @param user value of CHAP_N, 1 to 255 characters
 * @param secret 12 to 255 characters: a shorter one can be guessed from a recorded login (RFC 7143
 *     12.1.3.1 asks for 96 random bits)
 */
public record ChapCredentials(String user, String secret) {
  public ChapCredentials {
    Objects.requireNonNull(user, "user");
    Objects.requireNonNull(secret, "secret");
    if (user.isEmpty() || user.length() > 255) {
      throw new IllegalArgumentException(
          "CHAP user has " + user.length() + " characters; give it 1 to 255");
    }
    if (secret.length() < 12 || secret.length() > 255) {
      throw new IllegalArgumentException(
          "CHAP secret of " + user + " has " + secret.length() + " characters; give it 12 to 255");
    }
  }

  /** Leaves the secret out: this ends up in logs. */
  @Override
  public String toString() {
    return "ChapCredentials[user=" + user + "]";
  }
}
