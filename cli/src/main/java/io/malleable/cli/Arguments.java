package io.malleable.cli;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;
import picocli.CommandLine.Range;

/** The options and parameters that a command takes, in the order in which they were declared. */
public final class Arguments {
  private final List<ArgSpec> specs = new ArrayList<>();

  Arguments() {}

  void addTo(CommandSpec command) {
    specs.forEach(command::add);
  }

  /** A parameter that must be given. */
  public Argument parameter(String label, String text) {
    return parameter(label, "1", String.class, null, text);
  }

  /** A parameter that may be left out. */
  public Argument parameter(String label, String byDefault, String text) {
    return parameter(label, "0..1", String.class, byDefault, text);
  }

  /** Parameters, as many as the user likes. */
  public Argument parameters(String label, String text) {
    return parameter(label, "0..*", List.class, null, text);
  }

  /** An option that may be left out. */
  public Argument option(String name, String label, String text) {
    return add(
        OptionSpec.builder(names(name))
            .paramLabel(label)
            .type(String.class)
            .description(text)
            .build(),
        last(name));
  }

  /** An option with a default. */
  public Argument option(String name, String label, String byDefault, String text) {
    return add(
        OptionSpec.builder(names(name))
            .paramLabel(label)
            .type(String.class)
            .defaultValue(byDefault)
            .description(text)
            .build(),
        last(name));
  }

  /** An option that must be given. */
  public Argument requiredOption(String name, String label, String text) {
    return add(
        OptionSpec.builder(names(name))
            .paramLabel(label)
            .type(String.class)
            .required(true)
            .description(text)
            .build(),
        last(name));
  }

  /** An option that must be given at least once and may be repeated. */
  public Argument repeatedOption(String name, String label, String text) {
    return add(
        OptionSpec.builder(names(name))
            .paramLabel(label)
            .type(List.class)
            .auxiliaryTypes(String.class)
            .required(true)
            .description(text)
            .build(),
        last(name));
  }

  /** An option that may be left out or repeated. */
  public Argument optionalRepeatedOption(String name, String label, String text) {
    return add(
        OptionSpec.builder(names(name))
            .paramLabel(label)
            .type(List.class)
            .auxiliaryTypes(String.class)
            .description(text)
            .build(),
        last(name));
  }

  /** An option without a value. */
  public Argument flag(String name, String text) {
    return add(
        OptionSpec.builder(names(name)).type(boolean.class).description(text).build(), last(name));
  }

  /** Messages call an option by its long name. */
  private static String last(String name) {
    return name.substring(name.lastIndexOf(' ') + 1);
  }

  private static String[] names(String name) {
    return name.split(" ", -1);
  }

  private Argument parameter(
      String label, String arity, Class<?> type, @Nullable String byDefault, String text) {
    PositionalParamSpec.Builder builder =
        PositionalParamSpec.builder()
            .paramLabel(label)
            .arity(arity)
            // Of a spec that is built by hand, the parser does not infer it from the arity.
            .required(Range.valueOf(arity).min() > 0)
            .type(type)
            .description(text);
    if (type == List.class) {
      builder.auxiliaryTypes(String.class);
    }
    if (byDefault != null) {
      builder.defaultValue(byDefault);
    }
    int index = (int) specs.stream().filter(ArgSpec::isPositional).count();
    builder.index(type == List.class ? index + "..*" : Integer.toString(index));
    return add(builder.build(), label);
  }

  private Argument add(ArgSpec argument, String label) {
    specs.add(argument);
    return new Argument(argument, label);
  }
}
