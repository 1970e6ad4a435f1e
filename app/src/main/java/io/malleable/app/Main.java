package io.malleable.app;

import io.malleable.cli.M2Command;
import java.util.Map;

/** The {@code m2} program: the client's commands, the lab's, and the server. */
public final class Main {
  private Main() {}

  /** Runs one command and exits with its status: 0 done, 1 failed, 2 not understood. */
  public static void main(String[] arguments) {
    System.setProperty(LastingLogManager.PROPERTY, LastingLogManager.class.getName());
    System.exit(M2Command.run(arguments, Map.of("serve", ServeCommand::spec)));
  }
}
