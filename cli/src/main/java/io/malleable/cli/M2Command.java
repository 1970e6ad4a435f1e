package io.malleable.cli;

import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
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

  static final String INTERNAL_ERROR = "internal error";
  private static final String COMPLETION = "completion";

  private M2Command() {}

  /**
   * Runs one command of the process.
   *
   * @param more further commands by name, "noun" or "noun verb"; one is made only when it is
   *     needed, since a command shall answer at once. Each is a {@link BaseCommand} or what picocli
   *     takes for a command
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
    CommandLine line = new CommandLine(new Root(terminal).spec());
    needed(commands(more), arguments).forEach((name, command) -> add(line, name, command.get()));
    line.setOut(out).setErr(err);
    line.setCaseInsensitiveEnumValuesAllowed(true);
    line.setExecutionExceptionHandler((e, failed, _) -> explain(e, failed));
    line.setParameterExceptionHandler(M2Command::explainUsage);
    line.setUsageHelpAutoWidth(false)
        .setUsageHelpWidth(Math.min(Math.max(terminal.columns(), 80), 120));
    return line.execute(arguments);
  }

  private static Map<String, Supplier<Object>> commands(Map<String, Supplier<Object>> more) {
    Map<String, Supplier<Object>> commands = new LinkedHashMap<>();
    commands.put("status", StatusCommand::new);
    ImageCommands.addTo(commands);
    DiskCommands.addTo(commands);
    SnapshotCommands.addTo(commands);
    NodeCommands.addTo(commands);
    ProjectCommands.addTo(commands);
    OperationCommands.addTo(commands);
    EventCommands.addTo(commands);
    commands.put("doctor", () -> new DoctorCommand(M2Command::noStore));
    commands.put("image check", () -> new ImageCheckCommand(M2Command::noFiles));
    commands.putAll(more);
    commands.put("rehearse", () -> new Rehearsal(more));
    commands.put(COMPLETION, AutoComplete.GenerateCompletion::new);
    return commands;
  }

  /**
   * Making a command costs time, so of those that are not called only the ones are made that help
   * would list: none beside a known verb, all verbs beside an unknown one, everything without a
   * known noun.
   */
  private static Map<String, Supplier<Object>> needed(
      Map<String, Supplier<Object>> commands, String[] arguments) {
    String noun = arguments.length == 0 ? "" : arguments[0];
    if (noun.equals("--version") || noun.equals("-V")) {
      return Map.of();
    }
    if (!commands.containsKey(noun) || noun.equals(COMPLETION)) {
      return commands;
    }
    String verb = arguments.length == 1 ? "" : noun + " " + arguments[1];
    Map<String, Supplier<Object>> needed = new LinkedHashMap<>();
    commands.forEach((name, command) -> {
      boolean wanted = commands.containsKey(verb) ? name.equals(verb) : name.startsWith(noun + " ");
      if (wanted || name.equals(noun)) {
        needed.put(name, command);
      }
    });
    return needed;
  }

  /** A name of two words is a verb of a noun that was added before. */
  private static void add(CommandLine line, String name, Object command) {
    int space = name.indexOf(' ');
    CommandLine parent =
        space < 0 ? line : line.getSubcommands().getOrDefault(name.substring(0, space), line);
    String last = name.substring(space + 1);
    parent.addSubcommand(
        last,
        switch (command) {
          case BaseCommand ours -> ours.spec(last);
          case Noun noun -> noun.spec(last);
          default -> command;
        });
  }

  private static StoreCheck.Report noStore(Path data, StoreCheck.Progress progress) {
    throw new CommandFailure("this program has no access to the store in " + data, null);
  }

  private static ImageCheck.Report noFiles(
      ImageCheck.Question question, ImageCheck.Progress progress) {
    throw new CommandFailure("this program cannot look inside " + question.file(), null);
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
      err.println("m2: " + INTERNAL_ERROR + ", which is worth a report:");
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
