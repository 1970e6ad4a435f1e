package io.malleable.app;

import java.util.List;

/** Settings that cannot be used, all of them at once. */
final class BadSettingsException extends Exception {
  private static final long serialVersionUID = 1L;

  private final transient List<String> errors;

  BadSettingsException(List<String> errors) {
    super(String.join("; ", errors));
    this.errors = List.copyOf(errors);
  }

  List<String> errors() {
    return errors;
  }
}
