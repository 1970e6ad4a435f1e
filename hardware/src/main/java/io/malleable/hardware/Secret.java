package io.malleable.hardware;

import java.nio.charset.StandardCharsets;

/** A password that no log, message or debugger view prints by accident. */
public final class Secret {
  private final String value;

  public Secret(String value) {
    this.value = value;
  }

  /** The password itself, only for the call that hands it to the BMC. */
  String reveal() {
    return value;
  }

  byte[] revealUtf8() {
    return value.getBytes(StandardCharsets.UTF_8);
  }

  @Override
  public String toString() {
    return "********";
  }
}
