package io.malleable.control;

/** What an initiator must prove to know. The secret shows up in no text but its own accessor. */
public record ChapCredentials(String username, String secret) {
  @Override
  public String toString() {
    return "ChapCredentials[username=" + username + ", secret=********]";
  }
}
