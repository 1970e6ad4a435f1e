package io.malleable.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/**
 * Where a command runs: its environment and what its output goes to. Commands read neither system
 * properties nor the environment themselves, so that tests can give them another.
 *
 * @param environment the environment variables
 * @param interactive whether somebody watches standard error, so that a line there may be redrawn
 * @param columns how wide that somebody's screen is
 */
public record Terminal(Map<String, String> environment, boolean interactive, int columns) {
  private static final int USUAL_COLUMNS = 80;

  /** The process's own. */
  public static Terminal ofProcess() {
    Map<String, String> environment = System.getenv();
    boolean interactive = isTerminal(2) && !"dumb".equals(environment.get("TERM"));
    return new Terminal(environment, interactive, columns(environment.getOrDefault("COLUMNS", "")));
  }

  private static int columns(String text) {
    return text.matches("[1-9][0-9]{1,3}") ? Integer.parseInt(text) : USUAL_COLUMNS;
  }

  /** System.console() would load a line editor for this. */
  private static boolean isTerminal(int descriptor) {
    try {
      String target =
          Files.readSymbolicLink(Path.of("/proc/self/fd", Integer.toString(descriptor))).toString();
      return target.startsWith("/dev/pts/")
          || target.startsWith("/dev/tty")
          || target.equals("/dev/console");
    } catch (IOException | UnsupportedOperationException e) {
      return false;
    }
  }
}
