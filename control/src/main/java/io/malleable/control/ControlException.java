package io.malleable.control;

import java.io.IOException;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A request that cannot be done, and why. The message is a sentence for people without secrets; the
 * hint says what to do next.
 */
public final class ControlException extends RuntimeException {
  private final ErrorCode code;
  private final @Nullable String field;
  private final @Nullable String value;
  private final @Nullable String hint;

  private ControlException(
      ErrorCode code,
      String message,
      @Nullable String field,
      @Nullable String value,
      @Nullable String hint,
      @Nullable Throwable cause) {
    super(message, cause);
    this.code = code;
    this.field = field;
    this.value = value;
    this.hint = hint;
  }

  public static ControlException of(ErrorCode code, String message) {
    return new ControlException(code, message, null, null, null, null);
  }

  public static ControlException of(ErrorCode code, String message, String hint) {
    return new ControlException(code, message, null, null, hint, null);
  }

  /** The input {@code field} holds {@code value}, which cannot be used. */
  public static ControlException ofField(
      ErrorCode code, String field, String value, String message, String hint) {
    return new ControlException(code, message, field, shortened(value), hint, null);
  }

  /** What a failure of the store or of a file comes to. */
  public static ControlException of(IOException cause) {
    return Failures.of(cause);
  }

  /** The same error, with what caused it for the log. */
  public ControlException causedBy(Throwable cause) {
    return new ControlException(code, message(), field, value, hint, cause);
  }

  public ErrorCode code() {
    return code;
  }

  public String message() {
    String message = getMessage();
    return message == null ? code.name() : message;
  }

  public Optional<String> field() {
    return Optional.ofNullable(field);
  }

  public Optional<String> value() {
    return Optional.ofNullable(value);
  }

  public Optional<String> hint() {
    return Optional.ofNullable(hint);
  }

  /** An error must not become as large as the input that caused it. */
  private static String shortened(String value) {
    return value.length() <= 100 ? value : value.substring(0, 100) + "...";
  }
}
