package io.malleable.app;

import picocli.CommandLine;
import picocli.CommandLine.Command;

/** The {@code m2} program: the client's commands, the lab's, and the server. */
public final class Main {
  private Main() {}

  public static void main(String[] arguments) {
    System.setProperty(LastingLogManager.PROPERTY, LastingLogManager.class.getName());
    CommandLine commands = new CommandLine(new Root());
    commands.addSubcommand(new CommandLine(ServeCommand.spec()));
    System.exit(commands.execute(arguments));
  }

  @Command(name = "m2", mixinStandardHelpOptions = true)
  private static final class Root {}
}
