package io.malleable.cli;

import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.ArgSpec;

/**
 * One option or parameter of a command, and what the user gave for it. To be asked only while the
 * command runs.
 */
public final class Argument {
  private final ArgSpec spec;
  private final String label;

  Argument(ArgSpec spec, String label) {
    this.spec = spec;
    this.label = label;
  }

  /** How messages call it. */
  String label() {
    return label;
  }

  /** What was given, or the default. */
  public String text() {
    String text = orNull();
    if (text == null) {
      throw new IllegalStateException(label + " has no value");
    }
    return text;
  }

  /** What was given; {@code null} when it was left out and has no default. */
  public @Nullable String orNull() {
    return spec.getValue();
  }

  /** Whether a flag was given. */
  public boolean isSet() {
    return Boolean.TRUE.equals(spec.getValue());
  }

  /** Everything that was given for something that can be repeated. */
  public List<String> all() {
    List<String> all = spec.getValue();
    return all == null ? List.of() : all;
  }

  /** A whole number from a range. */
  public long number(long least, long most) {
    String text = text();
    if (text.matches("-?[0-9]{1,18}")) {
      long number = Long.parseLong(text);
      if (number >= least && number <= most) {
        return number;
      }
    }
    throw misused("a whole number from " + least + " to " + most);
  }

  /** One of these words. */
  public String oneOf(String... words) {
    String text = text();
    if (List.of(words).contains(text)) {
      return text;
    }
    throw misused(words.length == 1 ? words[0] : "one of " + String.join(", ", words));
  }

  private RuntimeException misused(String remedy) {
    String message = label + " is \"" + text() + "\"; give " + remedy;
    return new picocli.CommandLine.ParameterException(spec.command().commandLine(), message);
  }
}
