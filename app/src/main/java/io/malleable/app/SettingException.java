package io.malleable.app;

/** A setting's value cannot be used; the message says what would be right. */
final class SettingException extends Exception {
  private static final long serialVersionUID = 1L;

  SettingException(String message) {
    super(message);
  }
}
