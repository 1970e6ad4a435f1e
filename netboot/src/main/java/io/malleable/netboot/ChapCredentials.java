package io.malleable.netboot;

/** A CHAP name and secret (RFC 7143 12.1) that a boot script hands to the firmware. */
public record ChapCredentials(String username, String secret) {
  public ChapCredentials {
    if (username.isEmpty() || secret.isEmpty()) {
      throw new IllegalArgumentException("a CHAP name and secret must not be empty");
    }
  }

  /** The name only: the secret stays out of every log. */
  @Override
  public String toString() {
    return "ChapCredentials[username=" + username + "]";
  }
}
