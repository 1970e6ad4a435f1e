package io.malleable.cli;

import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Supplier;
import picocli.AutoComplete;
import picocli.CommandLine;

/**
 * The command line: builds the tree of commands, runs one of them, turns failures into words and an
 * exit status.
 */
public final class M2Command {

  private M2Command() {}

  /**
   * Runs one command of the process.
   *
   * @param more further commands by name, "noun" or "noun verb"; one is made only when it is
   *     needed, since a command shall answer at once
   * @return the exit status: 0 done, 1 failed, 2 not understood
   */
  public static int run(String[] arguments, Map<String, Supplier<Object>> more) {
    PrintWriter out = new PrintWriter(System.out, false, StandardCharsets.UTF_8);
    PrintWriter err = new PrintWriter(System.err, true, StandardCharsets.UTF_8);
    int status = run(arguments, more, Terminal.ofProcess(), out, err);
    out.flush();
    err.flush();
    return status;
  }

  /** The same with everything that a process has given by the caller. */
  public static int run(
      String[] arguments,
      Map<String, Supplier<Object>> more,
      Terminal terminal,
      PrintWriter out,
      PrintWriter err) {
    Map<String, Supplier<Object>> commands = commands(more);
    String first = arguments.length == 0 ? "" : arguments[0];
    // Making a command costs time, so a known one is made alone. For help and completion all are
    // needed.
    boolean known = commands.containsKey(first) && !first.equals("completion");
    CommandLine line = new CommandLine(new Root(terminal));
    commands.forEach((name, command) -> {
      if (!known || name.equals(first) || name.startsWith(first + " ")) {
        add(line, name, command.get());
      }
    });
    line.setOut(out).setErr(err);
    line.setCaseInsensitiveEnumValuesAllowed(true);
    line.setExecutionExceptionHandler((e, failed, _) -> explain(e, failed));
    line.setParameterExceptionHandler(M2Command::explainUsage);
    line.setUsageHelpAutoWidth(false)
        .setUsageHelpWidth(Math.min(Math.max(terminal.columns(), 80), 120));
    return line.execute(arguments);
  }

  /** A name of two words is a verb of a noun that was added before. */
  private static void add(CommandLine line, String name, Object command) {
    int space = name.indexOf(' ');
    CommandLine parent =
        space < 0 ? line : line.getSubcommands().getOrDefault(name.substring(0, space), line);
    parent.addSubcommand(name.substring(space + 1), command);
  }

  private static Map<String, Supplier<Object>> commands(Map<String, Supplier<Object>> more) {
    Map<String, Supplier<Object>> commands = new LinkedHashMap<>();
    commands.put("status", StatusCommand::new);
    commands.put("image", ImageCommands::new);
    commands.put("disk", DiskCommands::new);
    commands.put("snapshot", SnapshotCommands::new);
    commands.put("node", NodeCommands::new);
    commands.put("project", ProjectCommands::new);
    commands.put("operation", OperationCommands::new);
    commands.put("event", EventCommands::new);
    commands.put("doctor", DoctorCommand::new);
    commands.putAll(more);
    commands.put("completion", AutoComplete.GenerateCompletion::new);
    return commands;
  }

  private static int explain(Exception e, CommandLine failed) {
    PrintWriter err = failed.getErr();
    failed.getOut().flush();
    if (e instanceof CommandFailure failure) {
      err.println("m2: " + failure.what());
      if (failure.hint() != null) {
        err.println("  " + failure.hint());
      }
    } else {
      err.println("m2: internal error, which is worth a report:");
      e.printStackTrace(err);
    }
    err.flush();
    return CommandLine.ExitCode.SOFTWARE;
  }

  private static int explainUsage(CommandLine.ParameterException e, String[] arguments) {
    CommandLine misused = e.getCommandLine();
    PrintWriter err = misused.getErr();
    err.println("m2: " + e.getMessage());
    if (!CommandLine.UnmatchedArgumentException.printSuggestions(e, err)) {
      err.println("  Try: " + misused.getCommandSpec().qualifiedName() + " --help");
    }
    err.flush();
    return CommandLine.ExitCode.USAGE;
  }
}
