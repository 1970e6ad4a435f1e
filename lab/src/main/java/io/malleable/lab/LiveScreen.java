package io.malleable.lab;

import io.malleable.cli.Terminal;
import java.io.PrintWriter;
import java.util.List;
import java.util.function.Consumer;

/**
 * Lines that stay, and below them a few that are redrawn. Where nobody watches there are only the
 * lines that stay, without control characters. One thread uses it.
 */
final class LiveScreen {
  private static final String CLEAR_DOWN = "\u001b[J";
  private static final String DIM = "\u001b[2m";
  private static final String PLAIN = "\u001b[0m";

  private final Terminal terminal;
  private final PrintWriter out;
  private final PrintWriter err;
  private int drawnLines;

  /**
   * A screen.
   *
   * @param out gets the lines that stay
   * @param err gets the others, if it is a terminal
   */
  LiveScreen(Terminal terminal, PrintWriter out, PrintWriter err) {
    this.terminal = terminal;
    this.out = out;
    this.err = err;
  }

  /** Whether {@link #draw} shows anything. */
  boolean isLive() {
    return terminal.interactive();
  }

  Terminal terminal() {
    return terminal;
  }

  /** For progress lines of others. */
  PrintWriter progressWriter() {
    clear();
    return err;
  }

  /** Prints a line that stays. */
  void say(String text) {
    clear();
    out.println(text);
    out.flush();
  }

  /** Prints what a printer of the command line prints. */
  void timeline(Consumer<PrintWriter> printer) {
    clear();
    printer.accept(out);
    out.flush();
  }

  /** Replaces the lines below by a headline and quoted ones. */
  void draw(String headline, List<String> quoted) {
    if (!terminal.interactive()) {
      return;
    }
    clear();
    err.println(fit(headline));
    for (String each : quoted) {
      err.println(DIM + fit("  | " + each) + PLAIN);
    }
    drawnLines = 1 + quoted.size();
    err.flush();
  }

  /** Replaces the lines below by one. */
  void draw(String headline) {
    draw(headline, List.of());
  }

  /** Takes the redrawn lines away. */
  void clear() {
    if (drawnLines > 0) {
      err.print("\u001b[" + drawnLines + "A\r" + CLEAR_DOWN);
      err.flush();
      drawnLines = 0;
    }
  }

  /** A line that wraps would be counted as one and leave its rest behind. */
  private String fit(String text) {
    int columns = Math.max(20, terminal.columns() - 1);
    return text.length() > columns ? text.substring(0, columns) : text;
  }
}
