package io.malleable.cli;

import java.io.PrintWriter;
import java.time.Duration;
import java.util.Locale;

/**
 * One line on a terminal that is redrawn while something goes on; nothing at all where nobody
 * watches. Not thread-safe.
 */
public final class ProgressLine implements AutoCloseable {
  private static final int BAR_COLUMNS = 24;
  private static final long REDRAW_NANOS = 50_000_000;

  private final PrintWriter err;
  private final Terminal terminal;
  private final String label;
  private final long startedNanos = System.nanoTime();
  private long drawnNanos = startedNanos - REDRAW_NANOS;
  private boolean drawn;

  /** A line that begins with a label. */
  public ProgressLine(Terminal terminal, PrintWriter err, String label) {
    this.terminal = terminal;
    this.err = err;
    this.label = label;
  }

  /** Shows how far it is, 0 to 1, and what is being done. */
  public void show(double fraction, String doing) {
    long now = System.nanoTime();
    if (!terminal.interactive() || now - drawnNanos < REDRAW_NANOS) {
      return;
    }
    drawnNanos = now;
    drawn = true;
    double within = Math.min(1, Math.max(0, fraction));
    int full = (int) Math.round(within * BAR_COLUMNS);
    String bar = "#".repeat(full) + ".".repeat(BAR_COLUMNS - full);
    String elapsed = Times.exact(Duration.ofNanos(now - startedNanos));
    String line =
        String.format(
            Locale.ROOT, "%s [%s] %3.0f%% %s %s", label, bar, within * 100, elapsed, doing);
    int width = Math.max(20, terminal.columns() - 1);
    err.print("\r" + (line.length() > width ? line.substring(0, width) : line) + "\u001b[K");
    err.flush();
  }

  /** Takes the line away. */
  @Override
  public void close() {
    if (drawn) {
      err.print("\r\u001b[K");
      err.flush();
    }
  }
}
