package io.malleable.cli;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/**
 * A command. Subclasses declare their arguments as fields and say what they do in {@link #run}; it
 * ends well or throws.
 *
 * <p>Arguments are declared by calls and not by annotations: reading annotations takes three
 * quarters of the time that a command has until it answers (docs/adr).
 */
public abstract class BaseCommand {
  /** What the command takes. */
  protected final Arguments arguments = new Arguments();

  private final String description;
  private final String[] footer;
  private @Nullable CommandSpec spec;

  /** A command that does what the description says; the footer tells the rest. */
  protected BaseCommand(String description, String... footer) {
    this.description = description;
    this.footer = footer.clone();
  }

  /** Does the work. */
  protected abstract void run();

  /** Whether help does not list it. */
  boolean isHidden() {
    return false;
  }

  /** Refuses arguments that make no sense, before anything is done. */
  void check() {}

  /** The command for the parser. */
  final CommandSpec spec(String name) {
    Callable<Integer> work =
        () -> {
          check();
          run();
          out().flush();
          return CommandLine.ExitCode.OK;
        };
    CommandSpec made = CommandSpec.wrapWithoutInspection(work).name(name);
    arguments.addTo(made);
    made.addOption(helpOption());
    made.usageMessage().description(description).footer(footer).hidden(isHidden());
    spec = made;
    return made;
  }

  static OptionSpec helpOption() {
    return OptionSpec.builder("-h", "--help")
        .usageHelp(true)
        .type(boolean.class)
        .description("show this help")
        .build();
  }

  private CommandLine line() {
    if (spec == null) {
      throw new IllegalStateException("the command is not part of a command line");
    }
    return spec.commandLine();
  }

  /** Standard output: results only. */
  protected final PrintWriter out() {
    return line().getOut();
  }

  /** Standard error: progress and remarks. */
  protected final PrintWriter err() {
    return line().getErr();
  }

  /** Where the command runs. */
  protected final Terminal terminal() {
    return ((Root) line().getCommandSpec().root().userObject()).terminal();
  }

  /** A usage error, exit status 2. */
  protected final RuntimeException misused(String message) {
    return new CommandLine.ParameterException(line(), message);
  }

  /** The one of these options that was given; the user must give exactly one. */
  protected final Argument exactlyOne(Argument... options) {
    Argument given = null;
    for (Argument option : options) {
      if (option.orNull() != null) {
        if (given != null) {
          throw misused("give only one of " + labels(options));
        }
        given = option;
      }
    }
    if (given == null) {
      throw misused("give one of " + labels(options));
    }
    return given;
  }

  private static String labels(Argument... options) {
    List<String> labels = new ArrayList<>();
    for (Argument option : options) {
      labels.add(option.label());
    }
    return String.join(", ", labels);
  }
}
